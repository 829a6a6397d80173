"""Stores what became of recipients and tells webhooks of it, in the caller's transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

import orjson

from queensmtp import hot
from sending import letters, outcomes
from sending.letters import Headers
from sending.models import DeliveryEvent, Message, Recipient
from sending.states import Reaction
from webhooks import actions as webhooks
from webhooks.payloads import EVENT_TYPES

# The ORM's bulk_create costs as much as half a signature for each row.
INSERT = """
INSERT INTO sending_deliveryevent
    (id, account_id, message_id, recipient_id, type, created_at, data)
SELECT * FROM unnest(
    %s::uuid[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::timestamptz[],
    %s::text[]::jsonb[]
)
"""


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
    _store(events)
    _note_reactions(events)
    by_account: dict[UUID, list[DeliveryEvent]] = defaultdict(list)
    for event in events:
        # What the catalogue of webhooks does not know is for the timeline alone.
        if event.type in EVENT_TYPES:
            by_account[event.account_id].append(event)
    for account_id, of_account in by_account.items():
        # Written out only where an endpoint hears them.
        told = (
            outcomes.webhook_event(
                one,
                messages[one.message_id],
                addresses[one.recipient_id],
                headers=headers[one.message_id],
            )
            for one in of_account
        )
        webhooks.enqueue(account_id=account_id, events=told)


def _store(events: Sequence[DeliveryEvent]) -> None:
    hot.execute(
        INSERT,
        [
            [one.id for one in events],
            [one.account_id for one in events],
            [one.message_id for one in events],
            [one.recipient_id for one in events],
            [one.type for one in events],
            [one.created_at for one in events],
            [orjson.dumps(one.data).decode() for one in events],
        ],
    )


def _note_reactions(events: Sequence[DeliveryEvent]) -> None:
    """The weightiest of what a reader did stands beside the state, for `last_event`."""
    for reaction in Reaction:
        ids = [one.recipient_id for one in events if one.type == f"email.{reaction}"]
        if ids:
            lighter = Recipient.objects.filter(pk__in=ids, reaction__in=reaction.lighter)
            lighter.update(reaction=reaction)
