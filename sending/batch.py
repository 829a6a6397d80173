"""Many e-mails in one request: one statement, one audit entry (wire contract 2.5).

Strict takes all or none. Permissive takes what passes every gate and names the rest.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from apikeys.policy import KeyRecord
from auditlog import actions as audit
from auditlog import entries
from queensmtp import bell
from queensmtp.actors import Actor, Target
from queensmtp.errors import InvalidApiKey
from queensmtp.ratelimit import Verdict
from sending import accept, gates, quota_counters, quotas, rows, scheduling, statements
from sending.accept import DELIVER_TASK
from sending.audit import Event
from sending.errors import DailyQuotaExceeded, MonthlyQuotaExceeded
from sending.gates import Idempotency, Refused
from sending.group_commit import Counts
from sending.quotas import Spending
from sending.rows import Draft
from sending.submissions import Submission

SENDERS_NAMED = 10

# By the place of the item in the batch.
Drafts = dict[int, Draft]
Refusals = dict[int, Refused]


@dataclass(frozen=True, slots=True)
class AcceptedBatch:
    """The answer as it is sent and kept, whether it was given before, and the limit's state."""

    answer: dict[str, Any]
    is_replay: bool
    verdict: Verdict | None
    quota_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Batch:
    """What is left of a request after the gates, and who asks."""

    drafts: Drafts
    refusals: Refusals
    key: KeyRecord
    actor: Actor
    is_permissive: bool
    idempotency: Idempotency | None

    def spending(self, drafts: Iterable[Draft], now: datetime) -> Spending | None:
        addresses = [address for one in drafts for address in one.submission.recipients]
        return quotas.spending_of_key(self.key, addresses, now=now)


@dataclass(frozen=True, slots=True)
class _Stored:
    answer: dict[str, Any]
    quota_headers: Mapping[str, str]


def accept_batch(
    submissions: Sequence[Submission],
    *,
    key: KeyRecord,
    actor: Actor,
    is_permissive: bool = False,
    idempotency: Idempotency | None = None,
) -> AcceptedBatch:
    """Store e-mails for delivery. Raises Refused; then nothing was stored."""
    refusals = _key_refusals(submissions, key)
    if refusals and not is_permissive:
        raise whole(refusals)
    if idempotency is not None:
        answer = gates.find_answer(key, idempotency)
        if answer is not None:
            return AcceptedBatch(answer, is_replay=True, verdict=None)
    verdict = gates.pass_rate_limit(key)
    drafts = _drafts(submissions, refusals, key)
    if is_permissive:
        _leave_out_unverified(drafts, refusals, key)
    elif refusals:
        raise whole(refusals)
    if not drafts:
        _record_refused(refusals, actor)
        answer = _answer(drafts, refusals, is_permissive)
        return AcceptedBatch(answer, is_replay=False, verdict=verdict)
    batch = _Batch(drafts, refusals, key, actor, is_permissive, idempotency)
    stored = _store_what_fits(batch) if is_permissive else _store(batch)
    if stored is None:
        answer = gates.answer_of_the_winner(key, idempotency)
        return AcceptedBatch(answer, is_replay=True, verdict=verdict)
    bell.ring(DELIVER_TASK, queue="send")
    return AcceptedBatch(stored.answer, False, verdict, stored.quota_headers)


def whole(refusals: Mapping[int, Refused]) -> Refused:
    """One refusal for the batch: that of its first bad item, with the fields of all of them."""
    first = min(refusals)
    errors = [
        replace(one, field=f"[{at}].{one.field}")
        for at, refused in sorted(refusals.items())
        for one in refused.error.errors
    ]
    cause = refusals[first]
    message = f"Item {first} of the batch: {cause.error.message} Nothing of it was accepted."
    return Refused(type(cause.error)(message, errors=errors), reason=cause.reason)


def _key_refusals(submissions: Sequence[Submission], key: KeyRecord) -> Refusals:
    found = {}
    for at, submission in enumerate(submissions):
        refusal = gates.key_refusal(submission, key)
        if refusal is not None:
            found[at] = Refused(refusal.error, reason=refusal.reason)
    return found


def _drafts(submissions: Sequence[Submission], refusals: Refusals, key: KeyRecord) -> Drafts:
    """What can be stored; what cannot is added to `refusals`."""
    drafts = {}
    for at, submission in enumerate(submissions):
        if at in refusals:
            continue
        try:
            gates.pass_validation(submission)
            drafts[at] = Draft.of(submission, account_id=key.account_id)
        except Refused as refused:
            refusals[at] = refused
    return drafts


def _leave_out_unverified(drafts: Drafts, refusals: Refusals, key: KeyRecord) -> None:
    verified = gates.verified_among(key, {draft.sender.domain for draft in drafts.values()})
    for at, draft in list(drafts.items()):
        if draft.sender.domain not in verified:
            refusals[at] = gates.domain_not_verified(draft.sender.domain)
            del drafts[at]


def _answer(drafts: Drafts, refusals: Refusals, is_permissive: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {"data": [{"id": str(draft.id)} for draft in drafts.values()]}
    if is_permissive:
        answer["errors"] = [
            {"index": at, "message": refused.error.message}
            for at, refused in sorted(refusals.items())
        ]
    return answer


def _store_what_fits(batch: _Batch) -> _Stored | None:
    """What the quotas have room for. Others may take some of that room before it is stored; then
    less fits the next time."""
    while True:
        try:
            return _store(batch)
        except Refused as refused:
            is_full = isinstance(refused.error, DailyQuotaExceeded | MonthlyQuotaExceeded)
            if not is_full or not _leave_out_overflow(batch):
                raise


def _leave_out_overflow(batch: _Batch) -> bool:
    """Keep each item, in their order, that still fits; whether some went and some are left."""
    now = datetime.now(UTC)
    whole = batch.spending(batch.drafts.values(), now)
    used = quota_counters.used_of(whole) if whole else []
    kept = {}
    for at, draft in batch.drafts.items():
        one = batch.spending([draft], now)
        overflow = quota_counters.find_refusal(one, used) if one else None
        if overflow is None:
            kept[at] = draft
            used = [count + one.cost for count in used] if one else used
        else:
            batch.refusals[at] = overflow
    is_less = 0 < len(kept) < len(batch.drafts)
    batch.drafts = kept
    return is_less


def _store(batch: _Batch) -> _Stored | None:
    """None when a twin was answered meanwhile."""
    now = datetime.now(UTC)
    spending = batch.spending(batch.drafts.values(), now)
    answer = _answer(batch.drafts, batch.refusals, batch.is_permissive)
    live, stored, used = quota_counters.spend(spending, lambda: _run(batch, answer, spending, now))
    if not live:
        raise _why_not_live(batch.drafts, batch.key)
    if not stored:
        return None
    quota_counters.ring_when_reached(spending, used)
    return _Stored(answer, quotas.headers(spending, used))


def _run(batch: _Batch, answer: dict[str, Any], spending: Spending | None, now: datetime) -> Counts:
    key, actor, many = batch.key, batch.actor, list(batch.drafts.values())
    domains = sorted({draft.sender.domain for draft in many})
    params: list[Any] = [str(key.account_id), domains, key.id, len(domains)]
    if batch.idempotency is not None:
        params += rows.idempotency_params(batch.idempotency, answer, now)
    params += rows.many_message_params(many, key=key, actor=actor, now=now)
    params += rows.many_recipient_params(many, now=now)
    params += _audit_params(many, batch.refusals, actor, now)
    statement = statements.MANY_IDEMPOTENT if batch.idempotency else statements.MANY
    scheduled = [draft for draft in many if draft.submission.scheduled_at]
    with accept.unit_of_work(many, key):
        counts = accept.run(statement, params, spending)
        if counts[1] and scheduled:
            scheduling.announce(scheduled, now=now)
    return counts


def _audit_params(
    drafts: Sequence[Draft], refusals: Refusals, actor: Actor, now: datetime
) -> list[Any]:
    senders = sorted({draft.sender.address for draft in drafts})
    changes: dict[str, Any] = {
        "from": senders[:SENDERS_NAMED],
        "messages": len(drafts),
        "recipients": sum(len(draft.submission.recipients) for draft in drafts),
    }
    if refusals:
        changes["refused"] = len(refusals)
    entry = entries.build(
        by=actor,
        event=Event.BATCH_SUBMITTED,
        target=Target("batch", actor.origin.request_id),
        changes=changes,
        count=len(drafts),
        at=now,
    )
    return entry.params()


def _record_refused(refusals: Refusals, actor: Actor) -> None:
    """A permissive batch of which nothing is left."""
    reason = refusals[min(refusals)].reason
    audit.record_alone(
        by=actor,
        event=Event.BATCH_SUBMITTED,
        outcome="refused",
        changes={"reason": reason, "refused": len(refusals)},
    )


def _why_not_live(drafts: Drafts, key: KeyRecord) -> Refused:
    """A domain is not verified, or the key died just now."""
    verified = gates.verified_among(key, {draft.sender.domain for draft in drafts.values()})
    refusals = {
        at: gates.domain_not_verified(draft.sender.domain)
        for at, draft in drafts.items()
        if draft.sender.domain not in verified
    }
    return whole(refusals) if refusals else Refused(InvalidApiKey())
