"""Mail for later: told of, moved, canceled, and let go when its time has come."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.models import Account
from apikeys import standing
from apikeys.standing import Standing
from auditlog import actions as audit
from domains.models import Domain
from queensmtp.actors import Actor, Target, system_actor
from queensmtp.ids import new_id
from sending import events, letters, states, waiting
from sending.audit import Event
from sending.errors import NotCancelable, NotScheduled
from sending.models import DeliveryEvent, Message, Recipient
from sending.rows import Draft
from sending.states import State, Transition
from sending.waiting import Waiting

RELEASED_AT_ONCE = 500
CANCELED_AT_ONCE = 200
ENDED_SEEN_FOR = timedelta(hours=1)
ACTOR = "scheduled mail"
CANCELED_BY = "Canceled before it was sent."
CANCELED_WITH_KEY = {
    standing.LEAKED: (
        "Canceled: the API key that scheduled this was reported as leaked, and revoked."
    ),
    standing.STOPPED: (
        "Canceled: the API key that scheduled this was revoked, with all that it had scheduled."
    ),
}


def announce(drafts: Sequence[Draft], *, now: datetime) -> None:
    """Say that mail was scheduled, in the transaction that stored it."""
    messages = Message.objects.defer("content").in_bulk([draft.id for draft in drafts])
    recipients = Recipient.objects.filter(message_id__in=messages, state=State.SCHEDULED)
    told = [Waiting(one.pk, one.account_id, one.message_id, one.address) for one in recipients]
    headers = {draft.id: draft.submission.headers for draft in drafts}
    _tell(told, messages, "email.scheduled", "", now=now, headers=headers)


@transaction.atomic
def reschedule(*, by: Actor, message: Message, scheduled_at: datetime) -> None:
    """Another time for mail that still waits for its first one."""
    before = message.scheduled_at
    moved = Recipient.objects.filter(message=message, state=State.SCHEDULED)
    if not moved.update(due_at=scheduled_at):
        raise NotScheduled
    Message.objects.filter(pk=message.pk).update(scheduled_at=scheduled_at)
    audit.record(
        by=by,
        event=Event.RESCHEDULED,
        target=Target("email", str(message.pk)),
        changes={"scheduled_at": {"before": before, "after": scheduled_at}},
    )


@transaction.atomic
def cancel(*, by: Actor, message: Message) -> None:
    """Stop what has not left yet; NotCancelable when nothing is left to stop."""
    now = timezone.now()
    canceled = waiting.move(
        [message.pk], sources=states.sources(Transition.CANCEL), to=State.CANCELED, now=now
    )
    if not canceled:
        raise NotCancelable
    _tell(canceled, {message.pk: message}, "email.canceled", CANCELED_BY, now=now)
    audit.record(
        by=by,
        event=Event.CANCELED,
        target=Target("email", str(message.pk)),
        changes={"recipients": len(canceled)},
    )


@transaction.atomic
def release_due(*, now: datetime, limit: int = RELEASED_AT_ONCE) -> int:
    """Queue the scheduled mail whose time has come, if its key may still send it (role worker).

    The key's row is read without its secret, so without its MAC: what it says counts only
    against the mail, whose acceptance stood under the MAC.
    """
    due = waiting.due_scheduled(limit=limit, now=now)
    messages = Message.objects.defer("content").in_bulk({one.message_id for one in due})
    if not messages:
        return 0
    facts = _Facts.about(messages)
    refused = {one.pk: reason for one in messages.values() if (reason := facts.why_not(one))}
    waiting.move(
        [message_id for message_id in messages if message_id not in refused],
        sources=[State.SCHEDULED],
        to=State.QUEUED,
        now=now,
    )
    for message_id, reason in refused.items():
        _refuse(messages[message_id], reason, now)
    return len(messages)


def cancel_of_ended_keys(*, now: datetime, limit: int = CANCELED_AT_ONCE) -> int:
    """Cancel what keys had scheduled that leaked of late, or were revoked with it (role worker).

    A key may have scheduled any number, so they go by some at a time, each time committed.
    """
    total = 0
    while count := _cancel_some(now, limit):
        total += count
    return total


@transaction.atomic
def _cancel_some(now: datetime, limit: int) -> int:
    found = standing.ended_since(now - ENDED_SEEN_FOR)
    waits = Recipient.objects.filter(message_id=OuterRef("pk"), state=State.SCHEDULED)
    messages = Message.objects.defer("content").filter(
        Exists(waits), key_id__in=found, scheduled_at__isnull=False
    )
    count = 0
    for message in messages.order_by("pk")[:limit]:
        assert message.key_id is not None
        count += _end_with_key(message, found[message.key_id], now)
    return count


@dataclass(frozen=True)
class _Facts:
    """What decides about scheduled mail, read together for many messages."""

    keys: Mapping[UUID, Standing]
    domains: Mapping[UUID, Domain]
    recipients: Mapping[UUID, list[str]]
    open_accounts: frozenset[UUID]

    @classmethod
    def about(cls, messages: Mapping[UUID, Message]) -> "_Facts":
        many = messages.values()
        recipients: dict[UUID, list[str]] = defaultdict(list)
        for one in Recipient.objects.filter(message_id__in=messages, state=State.SCHEDULED):
            recipients[one.message_id].append(one.address)
        accounts = Account.objects.filter(pk__in={one.account_id for one in many}, status="active")
        return cls(
            keys=standing.of_keys({one.key_id for one in many if one.key_id}),
            domains=Domain.objects.in_bulk({one.domain_id for one in many}),
            recipients=recipients,
            open_accounts=frozenset(accounts.values_list("pk", flat=True)),
        )

    def why_not(self, message: Message) -> str | None:
        """The reason that it may not leave any more, for the account's people."""
        if message.account_id not in self.open_accounts:
            return "account_closed"
        domain = self.domains.get(message.domain_id)
        if domain is None or not domain.is_verified:
            return "domain_not_verified"
        key = self.keys.get(message.key_id) if message.key_id else None
        if key is None:
            return None
        return key.why_not(domain.name, self.recipients[message.pk])


def _refuse(message: Message, reason: str, now: datetime) -> None:
    if reason in CANCELED_WITH_KEY:
        _end_with_key(message, reason, now)
        return
    text = f"Not sent: what its API key may do had changed when its time came ({reason})."
    _end(message, State.FAILED, "email.failed", text, now)
    audit.record(
        by=system_actor(message.account_id, ACTOR),
        event=Event.SCHEDULE_REFUSED,
        target=Target("email", str(message.pk)),
        outcome="refused",
        changes={"reason": reason, "scheduled_at": message.scheduled_at},
    )


def _end_with_key(message: Message, reason: str, now: datetime) -> bool:
    """Whether there was still something to cancel; another worker may have been first."""
    if not _end(message, State.CANCELED, "email.canceled", CANCELED_WITH_KEY[reason], now):
        return False
    audit.record(
        by=system_actor(message.account_id, ACTOR),
        event=Event.CANCELED,
        target=Target("email", str(message.pk)),
        changes={"reason": reason},
    )
    return True


def _end(message: Message, state: State, event: str, text: str, now: datetime) -> bool:
    ended = waiting.move([message.pk], sources=[State.SCHEDULED], to=state, now=now, reply=text)
    _tell(ended, {message.pk: message}, event, text, now=now)
    return bool(ended)


def _tell(
    recipients: Sequence[Waiting],
    messages: Mapping[UUID, Message],
    event: str,
    text: str,
    *,
    now: datetime,
    headers: Mapping[UUID, letters.Headers] | None = None,
) -> None:
    if headers is None:
        headers = {one.pk: letters.headers_of(one) for one in messages.values()}
    told = [
        DeliveryEvent(
            id=new_id(),
            account_id=one.account_id,
            message_id=one.message_id,
            recipient_id=one.id,
            type=event,
            created_at=now,
            data={"reply": text} if text else {},
        )
        for one in recipients
    ]
    events.tell(told, {one.id: one.address for one in recipients}, messages, headers)
