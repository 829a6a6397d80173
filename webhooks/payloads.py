"""What a delivery says: the closed list of event types and the bytes of the body. Pure."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

EMAIL_EVENTS = (
    "email.sent",
    "email.scheduled",
    "email.delivered",
    "email.delivery_delayed",
    "email.complained",
    "email.bounced",
    "email.opened",
    "email.clicked",
    "email.received",
    "email.failed",
    "email.suppressed",
)
DOMAIN_EVENTS = ("domain.created", "domain.updated", "domain.deleted")
CONTACT_EVENTS = (
    "contact.created",
    "contact.updated",
    "contact.deleted",
    "contact.topics.updated",
)
SUPPRESSION_EVENTS = ("suppression.added", "suppression.removed")
TOPIC_EVENTS = ("topic.created", "topic.updated", "topic.deleted")
API_KEY_EVENTS = (
    "api_key.created",
    "api_key.rotated",
    "api_key.revoked",
    "api_key.expiring",
    "api_key.leaked",
    "api_key.new_network",
    "api_key.decoy_used",
)
AUDIT_EVENTS = ("audit.checkpoint",)
QUOTA_EVENTS = ("quota.reached",)

EVENT_TYPES = (
    *EMAIL_EVENTS,
    *DOMAIN_EVENTS,
    *CONTACT_EVENTS,
    *SUPPRESSION_EVENTS,
    *TOPIC_EVENTS,
    *API_KEY_EVENTS,
    *AUDIT_EVENTS,
    *QUOTA_EVENTS,
)

# Receivers crash on these when they come empty or null (wire contract 7.2), so they are left out.
OMITTED_WHEN_EMPTY = ("headers", "bounce", "click", "failed", "suppressed")


@dataclass(frozen=True)
class WebhookEvent:
    """Something that happened; `id` is what receivers tell repeats by."""

    id: uuid.UUID
    type: str
    created_at: datetime
    data: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.type not in EVENT_TYPES:
            raise ValueError(f"{self.type!r} is not in the catalogue of webhook events.")
        if self.created_at.tzinfo is None:
            raise ValueError("The time of a webhook event must carry its offset.")


def body_of(event: WebhookEvent) -> bytes:
    """The bytes that are stored, signed and sent, the same on every attempt."""
    data = {
        name: value for name, value in event.data.items() if value or name not in OMITTED_WHEN_EMPTY
    }
    if isinstance(data.get("headers", []), Mapping):
        raise ValueError("`headers` is a list of names and values here, never an object.")
    return orjson.dumps({"type": event.type, "created_at": event.created_at, "data": data})
