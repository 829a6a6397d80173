"""Every type of event with what its `data` holds: the one source of schemas and examples. Pure.

The documents, the test events and OpenAPI are made from it; a test holds what is really sent
against it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from queensmtp.shapes import AnyNames, Schema, schema_of
from webhooks.payloads import EVENT_TYPES

AT = "2026-11-21T22:14:58.120000+00:00"
LATER = "2026-11-21T22:15:00.005000+00:00"
ID = "01997e2c-7d5f-7c31-9d6e-2f1f7a3f9b10"
ROOT_HASH = "mYmgh1m2zJ5l3kDL2sAcKpVSDvYY+X/4a9vbhWgZz7k="
OTHER_ID = "01997e2c-7d60-7b1e-8c55-0a4f6f0d2c11"

EMAIL: Mapping[str, Any] = {
    "email_id": ID,
    "created_at": AT,
    "from": "Demo <hello@demo.example>",
    "to": ["someone@example.com"],
    "subject": "Your order is on its way",
    "message_id": f"<{ID}@demo.example>",
    "tags": AnyNames(category="orders"),
    "headers": [{"name": "X-Order", "value": "4711"}],
}
CONTACT = {
    "id": ID,
    "audience_id": OTHER_ID,
    "segment_ids": [OTHER_ID],
    "created_at": AT,
    "updated_at": LATER,
    "email": "someone@example.com",
    "first_name": "Dana",
    "last_name": None,
    "unsubscribed": False,
}
DOMAIN = {
    "id": ID,
    "name": "demo.example",
    "status": "verified",
    "created_at": AT,
    "region": "local",
    "records": [
        {
            "record": "DKIM",
            "name": "qs1._domainkey",
            "type": "TXT",
            "ttl": "Auto",
            "status": "verified",
            "value": "v=DKIM1; k=ed25519; p=…",
            "fqdn": "qs1._domainkey.demo.example",
            "found": ["v=DKIM1; k=ed25519; p=…"],
            "cause": None,
            "priority": 10,
        }
    ],
}
SUPPRESSION = {
    "id": ID,
    "email": "someone@example.com",
    "origin": "bounce",
    "source_id": OTHER_ID,
    "created_at": AT,
}
TOPIC = {
    "id": ID,
    "name": "Product news",
    "description": "What is new, once a month",
    "default_subscription": "opt_in",
    "deleted": False,
    "created_at": AT,
    "updated_at": LATER,
}
API_KEY = {"id": ID, "name": "Shop, checkout mails", "prefix": "qs_prod_4fK9", "last4": "x7Qa"}


@dataclass(frozen=True)
class EventType:
    """What one type means, and the `data` that comes with it."""

    name: str
    meaning: str
    data: Mapping[str, Any]
    # Dotted paths in `data` (`queensmtp.shapes`).
    optional: frozenset[str] = field(default=frozenset())
    nullable: frozenset[str] = field(default=frozenset())

    @property
    def example(self) -> dict[str, Any]:
        return {"type": self.name, "created_at": LATER, "data": dict(self.data)}

    @property
    def schema(self) -> Schema:
        data = schema_of(self.data, optional={*self.optional, "test"}, nullable=self.nullable)
        return {
            "type": "object",
            "description": self.meaning,
            "properties": {
                "type": {"type": "string", "const": self.name},
                "created_at": {"type": "string", "format": "date-time"},
                "data": data,
            },
            "required": ["type", "created_at", "data"],
        }


def _email(name: str, meaning: str, **more: Any) -> EventType:
    return EventType(name, meaning, {**EMAIL, **more}, frozenset({"tags", "headers"}))


def _contact(name: str, meaning: str, **more: Any) -> EventType:
    nullable = frozenset({"audience_id", "first_name", "last_name"})
    return EventType(name, meaning, {**CONTACT, **more}, frozenset({"audience_id"}), nullable)


def _domain(name: str, meaning: str) -> EventType:
    return EventType(name, meaning, DOMAIN, frozenset({"records[].priority"}))


def _suppression(name: str, meaning: str) -> EventType:
    return EventType(name, meaning, SUPPRESSION, nullable=frozenset({"source_id"}))


def _topic(name: str, meaning: str, **more: Any) -> EventType:
    return EventType(name, meaning, {**TOPIC, **more}, nullable=frozenset({"description"}))


def _api_key(name: str, meaning: str, *, nullable: tuple[str, ...] = (), **more: Any) -> EventType:
    return EventType(name, meaning, {**API_KEY, **more}, nullable=frozenset(nullable))


BOUNCE = {
    "message": "550 5.1.1 <someone@example.com>: user unknown",
    "type": "Permanent",
    "subType": "General",
    "diagnosticCode": "smtp; 550 5.1.1 <someone@example.com>: user unknown",
}
CLICK = {
    "ipAddress": "203.0.113.7",
    "link": "https://shop.example/track",
    "timestamp": LATER,
    "userAgent": "Mozilla/5.0",
}
SUPPRESSED = {
    "message": "The address is on the suppression list of the account.",
    "type": "OnAccountSuppressionList",
}

CATALOGUE: dict[str, EventType] = {
    one.name: one
    for one in (
        _email("email.sent", "A relay took the message; what became of it there is not known."),
        _email("email.scheduled", "The message waits for its time."),
        _email("email.delivered", "The recipient's mail server took the message."),
        _email("email.delivery_delayed", "It was put off, or is in doubt, and is tried again."),
        _email("email.complained", "The recipient marked the message as spam."),
        _email("email.bounced", "The recipient's mail server refused it for good.", bounce=BOUNCE),
        _email("email.opened", "The message was opened."),
        _email("email.clicked", "A link of the message was followed.", click=CLICK),
        _email("email.received", "A message came in."),
        _email(
            "email.failed",
            "It could not be delivered, and is not tried any more.",
            failed={"reason": "421 4.7.0 Try again later"},
        ),
        _email("email.suppressed", "The address is suppressed.", suppressed=SUPPRESSED),
        _domain("domain.created", "A sending domain was added."),
        _domain("domain.updated", "A domain's state or its records changed."),
        _domain("domain.deleted", "A domain was removed."),
        _contact("contact.created", "A contact was added."),
        _contact("contact.updated", "A contact changed."),
        _contact("contact.deleted", "A contact was removed."),
        _contact(
            "contact.topics.updated",
            "A contact changed which topics it hears of.",
            topics=[{"id": OTHER_ID, "subscription": "opt_out"}],
        ),
        _suppression("suppression.added", "An address gets no more mail from the account."),
        _suppression("suppression.removed", "A suppressed address may get mail again."),
        _topic("topic.created", "A topic was added."),
        _topic("topic.updated", "A topic changed."),
        _topic("topic.deleted", "A topic was removed.", deleted=True),
        _api_key(
            "api_key.created",
            "An API key was made.",
            environment="production",
            created_by="alice@hive.example",
        ),
        _api_key(
            "api_key.rotated",
            "An API key was given a successor; it ends after the overlap.",
            replaced_by={**API_KEY, "last4": "q2Zd"},
            overlap_ends_at=LATER,
        ),
        _api_key(
            "api_key.revoked",
            "An API key was revoked and is dead.",
            nullable=("reason",),
            revoked_at=LATER,
            reason="The shop was closed",
        ),
        _api_key(
            "api_key.expiring",
            "An API key ends soon.",
            nullable=("rotate_every_seconds",),
            expires_at=LATER,
            rotate_every_seconds=7_776_000,
        ),
        _api_key(
            "api_key.leaked",
            "An API key was found in public and revoked.",
            nullable=("source", "url"),
            source="github",
            url="https://github.com/hive/shop/blob/main/.env",
            created_keys=[API_KEY],
            created_keys_count=1,
        ),
        _api_key(
            "api_key.new_network",
            "An API key was used from a network new to it.",
            nullable=("ip", "user_agent"),
            network="203.0.113.0/24",
            ip="203.0.113.7",
            user_agent="curl/8.5.0",
            request_id=OTHER_ID,
        ),
        _api_key(
            "api_key.decoy_used",
            "A decoy key was tried by somebody who should not know it.",
            nullable=("ip", "user_agent"),
            ip="203.0.113.7",
            user_agent="curl/8.5.0",
            request_id=OTHER_ID,
            how="http",
        ),
        EventType(
            "audit.checkpoint",
            "A checkpoint of the audit log was published.",
            {
                "object": "checkpoint",
                "origin": "localhost/" + ID,
                "size": 4711,
                "root_hash": ROOT_HASH,
                "note": f"localhost/{ID}\n4711\n{ROOT_HASH}\n\n— localhost/{ID} vXbQ…\n",
                "published_at": AT,
            },
        ),
        EventType(
            "quota.reached",
            "80 or 100 percent of a quota are used up.",
            {
                "period": "day",
                "allowed": 1_000,
                "used": 800,
                "percent": 80,
                "resets_at": LATER,
                "key": {"id": ID, "name": "Shop, checkout mails"},
            },
            nullable=frozenset({"key"}),
        ),
    )
}
if tuple(CATALOGUE) != EVENT_TYPES:
    raise AssertionError("The catalogue holds each type of `EVENT_TYPES`, in its order.")
