"""Stores what became of recipients and tells webhooks of it, in the caller's transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from sending import letters, outcomes
from sending.letters import Headers
from sending.models import DeliveryEvent, Message, Recipient
from sending.states import Reaction
from webhooks import actions as webhooks
from webhooks.payloads import EVENT_TYPES, WebhookEvent


def tell_later(events: Sequence[DeliveryEvent], addresses: Mapping[UUID, str]) -> None:
    """Tell of messages that are not at hand: they are read, and opened for their headers."""
    messages = Message.objects.in_bulk({event.message_id for event in events})
    headers = {one.pk: letters.headers_of(one) for one in messages.values()}
    tell(events, addresses, messages, headers)


def tell(
    events: Sequence[DeliveryEvent],
    addresses: Mapping[UUID, str],
    messages: Mapping[UUID, Message],
    headers: Mapping[UUID, Headers],
) -> None:
    """Store events and put their webhooks into the outbox."""
    if not events:
        return
    DeliveryEvent.objects.bulk_create(events)
    _note_reactions(events)
    by_account: dict[UUID, list[WebhookEvent]] = defaultdict(list)
    for event in events:
        # What the catalogue of webhooks does not know is for the timeline alone.
        if event.type not in EVENT_TYPES:
            continue
        message = messages[event.message_id]
        by_account[event.account_id].append(
            outcomes.webhook_event(
                event, message, addresses[event.recipient_id], headers=headers[message.pk]
            )
        )
    for account_id, told in by_account.items():
        webhooks.enqueue(account_id=account_id, events=told)


def _note_reactions(events: Sequence[DeliveryEvent]) -> None:
    """The weightiest of what a reader did stands beside the state, for `last_event`."""
    for reaction in Reaction:
        ids = [one.recipient_id for one in events if one.type == f"email.{reaction}"]
        if ids:
            lighter = Recipient.objects.filter(pk__in=ids, reaction__in=reaction.lighter)
            lighter.update(reaction=reaction)
