"""What a report changes: the recipient's state, its events, and the suppressions."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction

from contacts import actions as contacts
from contacts.actions import Wanted
from contacts.models import Origin
from queensmtp.actors import system_actor
from queensmtp.addresses import key_of
from queensmtp.ids import new_id
from sending import bounces, events, sandbox, states
from sending.models import DeliveryEvent, Message, Recipient
from sending.reports import Kind, Report
from sending.states import State, Transition

ACTOR = "bounces"
# No webhook hears of it.
UNCLEAR = "email.unclear_report"


@transaction.atomic
def take_report(report: Report, *, recipient_id: UUID, now: datetime) -> bool:
    """Whether the report said something new; the same one twice changes nothing more."""
    recipient = Recipient.objects.select_for_update().filter(pk=recipient_id).first()
    if recipient is None:
        return False
    match report.kind:
        case Kind.FAILED:
            return _take_bounce(report, recipient, now)
        case Kind.DELAYED:
            return _take_delay(report, recipient, now)
        case Kind.COMPLAINT:
            return _take_complaint(report, recipient, now)
        case Kind.UNCLEAR:
            return _take_unclear(report, recipient, now)


def suppress_bounced(told: Iterable[DeliveryEvent], messages: Sequence[Message]) -> None:
    """Write no more to mailboxes that do not exist, in the transaction of their events."""
    outside = {one.pk for one in messages if one.environment != sandbox.ENVIRONMENT}
    hard = [
        one
        for one in told
        if one.type == "email.bounced"
        and one.message_id in outside
        and bounces.kind_of(one.data).is_hard
    ]
    if not hard:
        return
    found = Recipient.objects.in_bulk([one.recipient_id for one in hard])
    by_account: dict[UUID, list[Wanted]] = defaultdict(list)
    for event in hard:
        email = key_of(found[event.recipient_id].address)
        if sandbox.is_address(email):
            continue
        by_account[event.account_id].append(
            Wanted(email, Origin.BOUNCE, event.data["reply"], source_id=event.message_id)
        )
    # In one order in every worker, so that none waits for another that waits for it.
    for account_id in sorted(by_account):
        wanted = sorted(by_account[account_id], key=lambda one: one.email)
        contacts.suppress(by=system_actor(account_id, ACTOR), wanted=wanted)


def _take_bounce(report: Report, recipient: Recipient, now: datetime) -> bool:
    if recipient.state not in states.sources(Transition.BOUNCE):
        return False
    recipient.state = states.after(State(recipient.state), Transition.BOUNCE)
    recipient.finished_at = now
    recipient.smtp_code, recipient.enhanced_code = report.code or None, report.status[:12]
    recipient.reply = report.text
    # A worker that has it just now learns by its token that it is no longer its own.
    recipient.lease_token = recipient.leased_until = None
    recipient.save(
        update_fields=[
            "state",
            "finished_at",
            "smtp_code",
            "enhanced_code",
            "reply",
            "lease_token",
            "leased_until",
        ]
    )
    event = _event("email.bounced", report, recipient, now)
    _tell(event, recipient)
    suppress_bounced([event], [recipient.message])
    return True


def _take_delay(report: Report, recipient: Recipient, now: datetime) -> bool:
    is_on_its_way = recipient.state in (State.SENT, State.DELIVERED)
    if not is_on_its_way or _was_told("email.delivery_delayed", recipient, by_report=True):
        return False
    _tell(_event("email.delivery_delayed", report, recipient, now), recipient)
    return True


def _take_complaint(report: Report, recipient: Recipient, now: datetime) -> bool:
    if _was_told("email.complained", recipient):
        return False
    _tell(_event("email.complained", report, recipient, now), recipient)
    wanted = Wanted(
        key_of(recipient.address),
        Origin.COMPLAINT,
        f"Feedback report: {report.text}",
        source_id=recipient.message_id,
    )
    contacts.suppress(by=system_actor(recipient.account_id, ACTOR), wanted=[wanted])
    return True


def _take_unclear(report: Report, recipient: Recipient, now: datetime) -> bool:
    """For people to look at, once: it stands in the timeline and changes nothing."""
    if _was_told(UNCLEAR, recipient):
        return False
    _event(UNCLEAR, report, recipient, now).save(force_insert=True)
    return True


def _was_told(kind: str, recipient: Recipient, *, by_report: bool = False) -> bool:
    """Asked under the lock on the recipient, so that two reports at once are one after another."""
    told = DeliveryEvent.objects.filter(
        account_id=recipient.account_id,
        message_id=recipient.message_id,
        recipient_id=recipient.pk,
        type=kind,
    )
    return (told.filter(data__by_report=True) if by_report else told).exists()


def _event(kind: str, report: Report, recipient: Recipient, now: datetime) -> DeliveryEvent:
    return DeliveryEvent(
        id=new_id(),
        account_id=recipient.account_id,
        message_id=recipient.message_id,
        recipient_id=recipient.pk,
        type=kind,
        created_at=now,
        data={
            "by_report": True,
            "state": recipient.state,
            "mx_host": report.reporter,
            "code": report.code or None,
            "enhanced_code": report.status,
            "reply": report.text,
        },
    )


def _tell(event: DeliveryEvent, recipient: Recipient) -> None:
    events.tell_later([event], {recipient.pk: recipient.address})
