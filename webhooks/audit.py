from enum import StrEnum

from queensmtp.actors import Target
from webhooks.models import Endpoint


class Event(StrEnum):
    LISTED = "webhook.listed"
    READ = "webhook.read"
    CREATED = "webhook.created"
    UPDATED = "webhook.updated"
    REMOVED = "webhook.removed"
    SECRET_ROTATED = "webhook.secret_rotated"
    SECRET_REVEALED = "webhook.secret_revealed"
    DISABLED = "webhook.disabled"
    DELIVERIES_READ = "webhook.deliveries_read"
    REPLAYED = "webhook.replayed"
    TESTED = "webhook.tested"
    LISTENING_STARTED = "webhook.listening_started"
    LISTENING_ENDED = "webhook.listening_ended"
    LISTENED = "webhook.listened"


SENTENCES: dict[str, str] = {
    Event.LISTED: "listed the webhooks",
    Event.READ: "read the webhook {target}",
    Event.CREATED: "added the webhook {target}",
    Event.UPDATED: "changed the webhook {target}",
    Event.REMOVED: "removed the webhook {target}",
    Event.SECRET_ROTATED: "rotated the signing secret of {target}",
    Event.SECRET_REVEALED: "revealed the signing secret of {target}",
    Event.DISABLED: "disabled the webhook {target}",
    Event.DELIVERIES_READ: "read deliveries of the webhook {target}",
    Event.REPLAYED: "sent deliveries of {target} again",
    Event.TESTED: "sent a test event to {target}",
    Event.LISTENING_STARTED: "began to listen to events",
    Event.LISTENING_ENDED: "stopped listening to events",
    Event.LISTENED: "fetched events by listening",
}


def target_of(endpoint: Endpoint) -> Target:
    return Target("webhook", str(endpoint.pk), endpoint.shown_url)
