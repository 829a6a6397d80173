from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from accounts.models import Account
from queensmtp.actors import system_actor
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from tests.roles import as_role
from webhooks import actions, rounds, secret_actions
from webhooks.models import Endpoint
from webhooks.payloads import WebhookEvent


def make_endpoint(
    account: Account,
    url: str,
    *,
    events: Sequence[str] = ("email.delivered",),
    is_ordered: bool = False,
) -> Endpoint:
    with tenant(account.pk):
        return actions.create_endpoint(
            by=system_actor(account.pk, "tests"), url=url, events=events, is_ordered=is_ordered
        )


def secret_of(endpoint: Endpoint) -> str:
    with tenant(endpoint.account_id):
        return secret_actions.reveal(
            by=system_actor(endpoint.account_id, "tests"), endpoint=endpoint
        )


class MadeUp(WebhookEvent):
    """An event of a test, whose data is whatever the test needs."""


def make_event(type: str = "email.delivered", **data: Any) -> WebhookEvent:
    return MadeUp(
        id=new_id(), type=type, created_at=datetime.now(UTC), data=data or {"to": ["a@b.example"]}
    )


def enqueue(account: Account, *events: WebhookEvent) -> None:
    with tenant(account.pk):
        actions.enqueue(account_id=account.pk, events=events or [make_event()])


def deliver(*, now: datetime | None = None, limit: int = 200) -> int:
    """As the worker does it."""
    with as_role("worker"):
        return rounds.deliver_due(now=now, limit=limit)
