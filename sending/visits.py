"""Records opens and clicks, and unsubscribes: what people do with the links of a mail."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from contacts import actions as contacts
from contacts.actions import Wanted
from contacts.models import Origin
from queensmtp import tenancy
from queensmtp.actors import Actor
from queensmtp.actors import Origin as Source
from queensmtp.addresses import key_of
from queensmtp.ids import new_id
from sending import events
from sending.links import Place
from sending.models import DeliveryEvent, Recipient

OPENED, CLICKED, UNSUBSCRIBED = "email.opened", "email.clicked", "email.unsubscribed"
# A link that is fetched again and again must not fill the disk.
KEPT_AT_MOST = 50


@dataclass(frozen=True, slots=True)
class Visit:
    """One use of a link. `automatic` says why it was no person's; empty if it may have been."""

    source: Source
    at: datetime
    automatic: str = ""
    # Of a click.
    target: str = ""


def find_recipient(place: Place) -> Recipient | None:
    """The recipient of a link; None when the message is no longer kept."""
    with tenancy.tenant(place.account_id):
        found = Recipient.objects.filter(account_id=place.account_id, pk=place.recipient_id)
        return found.select_related("message").defer("message__content").first()


def record(kind: str, recipient: Recipient, visit: Visit) -> bool:
    """Keep an open or a click, and tell webhooks if a person may have done it."""
    with tenancy.tenant(recipient.account_id):
        told = DeliveryEvent.objects.filter(
            account_id=recipient.account_id,
            message_id=recipient.message_id,
            recipient_id=recipient.pk,
            type=kind,
        )
        if told.count() >= KEPT_AT_MOST:
            return False
        event = _event(kind, recipient, visit)
        if visit.automatic:
            event.save(force_insert=True)
        else:
            events.tell_later([event], {recipient.pk: recipient.address})
        return True


def unsubscribe(recipient: Recipient, visit: Visit) -> None:
    """No more marketing mail to this address. Twice changes nothing more."""
    by = Actor(
        type="system",
        id="unsubscribe",
        label="the recipient, by the link in a mail",
        account_id=recipient.account_id,
        origin=visit.source,
    )
    wanted = Wanted(
        key_of(recipient.address),
        Origin.UNSUBSCRIBE,
        "One-click unsubscribe",
        source_id=recipient.message_id,
    )
    with tenancy.tenant(recipient.account_id), transaction.atomic():
        (row,) = contacts.suppress(by=by, wanted=[wanted])
        if row.source_id == recipient.message_id and not _has_unsubscribed(recipient):
            _event(UNSUBSCRIBED, recipient, visit).save(force_insert=True)


def _has_unsubscribed(recipient: Recipient) -> bool:
    return DeliveryEvent.objects.filter(
        account_id=recipient.account_id,
        message_id=recipient.message_id,
        recipient_id=recipient.pk,
        type=UNSUBSCRIBED,
    ).exists()


def _event(kind: str, recipient: Recipient, visit: Visit) -> DeliveryEvent:
    data: dict[str, Any] = {
        "state": recipient.state,
        "ip": visit.source.ip,
        "user_agent": visit.source.user_agent,
    }
    if visit.automatic:
        data["automatic"] = visit.automatic
    if visit.target:
        data["link"] = visit.target
    return DeliveryEvent(
        id=new_id(),
        account_id=recipient.account_id,
        message_id=recipient.message_id,
        recipient_id=recipient.pk,
        type=kind,
        created_at=visit.at,
        data=data,
    )
