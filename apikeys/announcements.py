"""What webhooks tell of a key: always the four facts by which its owner knows it, and the news."""

from typing import Any, Protocol
from uuid import UUID

from django.utils import timezone

from queensmtp.ids import new_id
from webhooks import actions as webhooks
from webhooks.payloads import WebhookEvent


class Known(Protocol):
    """A key, as much of it as may be told."""

    @property
    def pk(self) -> Any: ...
    @property
    def account_id(self) -> UUID: ...
    @property
    def name(self) -> str: ...
    @property
    def prefix(self) -> str: ...
    @property
    def last4(self) -> str: ...


def announce(key: Known, type: str, **news: Any) -> None:
    """Write the deliveries of an event about a key, in the caller's transaction."""
    event = WebhookEvent(new_id(), type, timezone.now(), {**facts_of(key), **news})
    webhooks.enqueue(account_id=key.account_id, events=[event])


def facts_of(key: Known) -> dict[str, str]:
    return {"id": str(key.pk), "name": key.name, "prefix": key.prefix, "last4": key.last4}
