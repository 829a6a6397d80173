"""Look at the DNS of the domains that are due, and let them stand or fall by it.

Postgres is the queue: a claim pushes the time of the next check ahead, so that two workers never
hold one domain. DNS is asked outside any transaction; what it said is settled in one.
"""

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from auditlog import actions as audit
from domains import actions, judging, lookups, measures, rechecks, rotation, standing, telling
from domains.audit import Event
from domains.judging import Judgement
from domains.lookups import Answer, Question
from domains.measures import CheckOutcome
from domains.models import DkimState, Domain, DomainStatus, new_token
from domains.records import Record
from domains.standing import Finding, Rules
from queensmtp.actors import Actor, system_actor
from queensmtp.tenancy import tenant

CHECKER = "DNS check"
CLAIMED_AT_ONCE = 8
LEASE = timedelta(minutes=5)
logger = logging.getLogger(__name__)

LOST = "Another account has proved this name with its own token. Prove it anew to send from it."


def check_due(*, now: datetime | None = None) -> int:
    """Check what is due, some at once; how many were claimed."""
    at, started_at = now or timezone.now(), time.monotonic()
    claimed = claim(now=at)
    asked = {domain.pk: _records(domain) for domain in claimed}
    answers = lookups.ask_all(_questions(asked.values()))
    checked = []
    for domain in claimed:
        outcome = _settle_one(domain, _judged(asked[domain.pk], answers), at)
        checked.append((outcome, time.monotonic() - started_at))
    measures.count(checked)
    return len(claimed)


def _settle_one(domain: Domain, judged: Mapping[str, Judgement], now: datetime) -> CheckOutcome:
    try:
        settled = settle(domain_id=domain.pk, name=domain.name, judged=judged, now=now)
    except Exception:
        # A bug of ours, on this domain: it is tried again, and the others go on.
        logger.exception("domain_check_failed", extra={"domain_id": str(domain.pk)})
        return CheckOutcome.ERROR
    return measures.outcome_of(settled, judged)


@transaction.atomic
def claim(*, now: datetime, limit: int = CLAIMED_AT_ONCE) -> list[Domain]:
    """Those that are due, each for one worker."""
    due = Domain.objects.due(now).select_for_update(skip_locked=True).order_by("check_due_at")
    found = list(due[:limit])
    Domain.objects.filter(pk__in=[one.pk for one in found]).update(check_due_at=now + LEASE)
    return list(
        Domain.objects.filter(pk__in=[one.pk for one in found]).prefetch_related("dkim_keys")
    )


@transaction.atomic
def settle(
    *, domain_id: UUID, name: str, judged: Mapping[str, Judgement], now: datetime
) -> Domain | None:
    """Write what a check found, and everything that follows from it."""
    _lock_name(name)
    domain = Domain.objects.standing().select_for_update().filter(pk=domain_id).first()
    if domain is None:
        return None
    by = system_actor(domain.account_id, CHECKER)
    with tenant(domain.account_id):
        before = Before(domain.status, domain.can_send)
        findings = _apply(domain, judged, now)
        if before != Before(domain.status, domain.can_send):
            domain.status_changed_at = now
        if domain.can_send and not before.can_send:
            _take_name(domain, by, now)
        rotated = rotation.advance(by=by, domain=domain, findings=findings, now=now)
        _schedule(domain, now)
        domain.save()
        _tell(domain, before, by)
        if rotated and domain.status == before.status:
            telling.webhook(domain, "updated")
    return domain


@dataclass(frozen=True, slots=True)
class Before:
    status: str
    can_send: bool


def _records(domain: Domain) -> list[Record]:
    return [*domain.to_publish(), *domain.advised()]


def _questions(asked: Iterable[Sequence[Record]]) -> list[Question]:
    return [record.question for records in asked for record in records]


def _judged(
    records: Iterable[Record], answers: Mapping[Question, Sequence[Answer]]
) -> dict[str, Judgement]:
    return {one.slug: judging.judge(one, answers[one.question]) for one in records}


def _apply(domain: Domain, judged: Mapping[str, Judgement], now: datetime) -> dict[str, Finding]:
    """The new findings, and the state that follows from them."""
    records = {one.slug: one for one in _records(domain)}
    rules = Rules(
        patience=timedelta(hours=settings.DOMAIN_PENDING_HOURS),
        grace=timedelta(hours=settings.DOMAIN_GRACE_HOURS),
    )
    findings = {slug: domain.finding(slug) for slug in records}
    for slug in findings.keys() & judged.keys():
        findings[slug] = standing.after_check(
            findings[slug],
            judged[slug],
            now=now,
            awaited_since=domain.awaited_since,
            rules=rules,
        )
    domain.status, domain.can_send = standing.of_domain(
        records, findings, could_send=domain.can_send
    )
    domain.findings = {slug: finding.to_json() for slug, finding in findings.items()}
    domain.checked_at = now
    if domain.can_send:
        domain.note = ""
        domain.verified_at = domain.verified_at or now
    return findings


def _schedule(domain: Domain, now: datetime) -> None:
    asked = domain.check_requested_at
    if asked is not None and asked > now:
        # Somebody asked while DNS was being asked: that check is still to come.
        domain.check_due_at = asked
        return
    domain.check_due_at = rechecks.next_check(
        status=domain.status,
        now=now,
        awaited_since=domain.awaited_since,
        changed_at=domain.status_changed_at,
        awaits_key=domain.dkim_keys.filter(state=DkimState.NEXT).exists(),
    )


def _lock_name(name: str) -> None:
    """One check at a time may make a name change hands."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])


def _take_name(domain: Domain, by: Actor, now: datetime) -> None:
    """Whoever sent from this name before has lost it: this account has just proved it."""
    others = Domain.objects.select_for_update().filter(name=domain.name, can_send=True)
    for other in others.exclude(pk=domain.pk):
        audit.record(by=by, event=Event.CLAIMED, target=actions.target(domain))
        with tenant(other.account_id):
            _lose(other, now)


def _lose(domain: Domain, now: datetime) -> None:
    """The token is renewed: one that was left in DNS must not take the name back."""
    before = domain.status
    domain.status, domain.can_send, domain.note = DomainStatus.FAILED, False, LOST
    domain.verification_token, domain.findings = new_token(), {}
    # Long ago: nothing is awaited until somebody asks.
    domain.awaited_since = domain.created_at
    domain.status_changed_at, domain.check_due_at = now, now + rechecks.GONE[0][1]
    domain.save()
    audit.record(
        by=system_actor(domain.account_id, CHECKER),
        event=Event.LOST,
        target=actions.target(domain),
        changes={"status": {"before": before, "after": domain.status}},
    )
    telling.webhook(domain, "updated")
    telling.people(
        domain,
        kind="domain.lost",
        subject=f"{domain.name} has moved to another account",
        text=f"{LOST} Mail from {domain.name} is refused, and what waits is not sent.",
    )


def _tell(domain: Domain, before: Before, by: Actor) -> None:
    if before == Before(domain.status, domain.can_send):
        return
    event = _event(domain, before)
    changes = {
        "status": {"before": before.status, "after": domain.status},
        "causes": _causes(domain),
    }
    audit.record(by=by, event=event, target=actions.target(domain), changes=changes)
    telling.webhook(domain, "updated")
    if event == Event.FAILED:
        _tell_people(domain, "failed", f"{domain.name} has stopped sending", STOPPED)
    elif domain.status == DomainStatus.PARTIALLY_FAILED and before.can_send:
        _tell_people(domain, "weakened", f"DNS records of {domain.name} are gone", VANISHED)
    elif domain.can_send and not before.can_send:
        _tell_people(domain, "verified", f"{domain.name} is verified", STARTED)


STARTED = "You can send from {name} now."
VANISHED = (
    "Records that stood in DNS are gone or changed. {name} still sends; if a record that it needs "
    "stays away for {hours} hours, it stops."
)
STOPPED = (
    "A record that {name} needs is gone from DNS. Mail from {name} is refused from now on, and "
    "what waits is not sent until the record is back."
)


def _tell_people(domain: Domain, verb: str, subject: str, text: str) -> None:
    words = text.format(name=domain.name, hours=settings.DOMAIN_GRACE_HOURS)
    causes = "\n".join(f"- {cause}" for cause in _causes(domain))
    telling.people(
        domain, kind=f"domain.{verb}", subject=subject, text=f"{words}\n\n{causes}".rstrip()
    )


def _event(domain: Domain, before: Before) -> Event:
    if domain.can_send and not before.can_send:
        return Event.VERIFIED
    if before.can_send and not domain.can_send:
        return Event.FAILED
    return Event.STATUS_CHANGED


def _causes(domain: Domain) -> list[str]:
    return [
        f"{one.kind} {one.type}: {domain.finding(one.slug).cause}"
        for one in domain.to_publish()
        if standing.hangs_on(one.weight) and domain.finding(one.slug).status != standing.VERIFIED
    ]
