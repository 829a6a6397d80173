"""The accept core: gates 3 to 5 of `design.md` 1, then one statement, then and only then yes.

It knows neither HTTP nor sockets: the single view, the batch view and the SMTP session call it.
The statement tests again that the key lives, the account is open and the domain is verified, and
that nobody asked for no more mail: a suppressed recipient is stored as such, and never claimed;
outside a transaction it is a transaction of its own, so the message, its recipients, the
idempotency answer and the audit entry are stored together or not at all.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import OperationalError

from apikeys.policy import KeyRecord
from auditlog import entries
from auditlog.entries import Entry
from queensmtp import bell, hot, tenancy, together
from queensmtp.actors import Actor, Target
from queensmtp.errors import InvalidApiKey
from queensmtp.ratelimit import Verdict
from queensmtp.together import ALONE, Alone, Question, Step
from sending import gates, group_commit, quota_counters, quotas, rows, scheduling, statements
from sending.audit import Event
from sending.gates import Idempotency, Refused
from sending.group_commit import Counts, Order
from sending.quotas import Spending
from sending.rows import Draft
from sending.submissions import Submission

DELIVER_TASK = "sending.tasks.deliver_due"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer: the e-mail's id, whether it was given before, and the state of the limits."""

    email_id: UUID
    is_replay: bool
    verdict: Verdict | None
    quota_headers: Mapping[str, str] = field(default_factory=dict)


def accept_email(
    submission: Submission,
    *,
    key: KeyRecord,
    actor: Actor,
    via: str,
    idempotency: Idempotency | None = None,
) -> Accepted:
    """Store one e-mail for delivery. Raises Refused; then nothing was stored."""
    gates.pass_key_rules(submission, key)
    if idempotency is not None:
        answer = gates.find_answer(key, idempotency)
        if answer is not None:
            return Accepted(UUID(answer["id"]), is_replay=True, verdict=None)
    verdict = gates.pass_rate_limit(key)
    gates.pass_validation(submission)
    draft, now = Draft.of(submission, account_id=key.account_id), datetime.now(UTC)
    spending = quotas.spending_of_key(key, submission.recipients, now=now)
    entry = _entry(draft, actor, now)
    order = Order(draft, now, key, actor, via, entry, idempotency, spending)
    live, stored, used = _STORED.ask(order) if order.is_plain else _store_one(order)
    if not live:
        raise _why_not_live(draft, key)
    if not stored:
        answer = gates.answer_of_the_winner(key, idempotency)
        return Accepted(UUID(answer["id"]), is_replay=True, verdict=verdict)
    bell.ring(DELIVER_TASK, queue="send")
    quota_counters.ring_when_reached(spending, used)
    told = quotas.headers(spending, used)
    return Accepted(draft.id, is_replay=False, verdict=verdict, quota_headers=told)


def unit_of_work(drafts: list[Draft], key: KeyRecord) -> AbstractContextManager[None]:
    """Nothing around the one statement, unless scheduled mail is told of in its transaction."""
    if any(draft.submission.scheduled_at for draft in drafts):
        return tenancy.tenant(key.account_id)
    return nullcontext()


def _store_one(order: Order) -> Counts:
    try:
        return quota_counters.spend(order.spending, lambda: _store(order))
    except OperationalError as error:
        if hot.waited_too_long(error):
            together.leave()
        raise


def _store_many(orders: Sequence[Order]) -> list[Counts | Alone]:
    """By one commit. What that did not store is tried alone, and so learns why."""
    counts = group_commit.store(orders)
    return [counts.get(one.draft.id, ALONE) for one in orders]


_STORED = Question(Step.STORE, _store_one, _store_many)


def _store(order: Order) -> Counts:
    draft, key, now, idempotency = order.draft, order.key, order.now, order.idempotency
    params: list[Any] = [str(key.account_id), key.id, draft.sender.domain]
    if idempotency is not None:
        params += rows.idempotency_params(idempotency, {"id": str(draft.id)}, now)
    params += rows.message_params(draft, key=key, actor=order.actor, via=order.via, now=now)
    params += rows.recipient_params(draft, now=now)
    params += order.entry.params()
    statement = statements.IDEMPOTENT if idempotency else statements.ONCE
    with unit_of_work([draft], key):
        counts = run(statement, params, order.spending)
        if counts[1] and draft.submission.scheduled_at is not None:
            scheduling.announce([draft], now=now)
    return counts


def run(statement: str, params: list[Any], spending: Spending | None) -> Counts:
    """One of the statements, with what it spends."""
    if spending is not None:
        statement, params = statements.SPENDING[statement], [*params, *spending.params()]
    row = hot.fetch_one(statement, params)
    assert row is not None
    return row[0], row[1], row[2] if spending else None


def _entry(draft: Draft, actor: Actor, now: datetime) -> Entry:
    changes: dict[str, Any] = {
        "from": draft.sender.address,
        "recipients": len(draft.submission.recipients),
    }
    if draft.submission.scheduled_at is not None:
        changes["scheduled_at"] = draft.submission.scheduled_at
    return entries.build(
        by=actor,
        event=Event.SUBMITTED,
        target=Target("email", str(draft.id)),
        changes=changes,
        at=now,
    )


def _why_not_live(draft: Draft, key: KeyRecord) -> Refused:
    """The statement stored nothing: the domain is not verified, or the key died just now."""
    if gates.verified_among(key, [draft.sender.domain]):
        return Refused(InvalidApiKey())
    return gates.domain_not_verified(draft.sender.domain)
