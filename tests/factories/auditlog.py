"""Actors and logs for tests: Alice of Hive, her key, and Charlie of another account."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from django.db import connection
from django.utils import timezone

from auditlog import actions, indexing
from queensmtp.actors import Actor, Origin, Target
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from tests.roles import as_role

HIVE = new_id()
CHARLIES = new_id()


def origin(*, ip: str | None = "203.0.113.7", user_agent: str = "curl/8.5.0") -> Origin:
    return Origin(
        ip=ip, user_agent=user_agent, request_id=str(new_id()), client_request_id="theirs"
    )


def alice(account_id: UUID = HIVE, *, ip: str | None = "203.0.113.7") -> Actor:
    return Actor(
        type="user",
        id="0199aaaa-0000-7000-8000-000000000001",
        label="Alice",
        account_id=account_id,
        origin=origin(ip=ip),
    )


def key_actor(
    account_id: UUID = HIVE,
    *,
    key_id: UUID | None = None,
    ip: str | None = "203.0.113.7",
    labels: Mapping[str, str] | None = None,
) -> Actor:
    key_id = key_id or new_id()
    return Actor(
        type="key",
        id=str(key_id),
        label="Newsletter",
        account_id=account_id,
        origin=origin(ip=ip),
        key_id=key_id,
        labels=labels or {"unit": "retail"},
    )


def record_many(
    count: int, account_id: UUID = HIVE, *, event: str = "api_key.created"
) -> list[UUID]:
    actor = alice(account_id)
    return [
        actions.record(by=actor, event=event, target=Target("key", str(new_id()), f"key {number}"))
        for number in range(count)
    ]


def leave_waiting(count: int, account_id: UUID = HIVE) -> None:
    """Leave leaves to be sealed whose entries are past their retention: many cost nothing."""
    milliseconds = int((timezone.now() - timedelta(days=400)).timestamp() * 1000)
    ids = [UUID(int=milliseconds << 80 | new_id().int % (1 << 80)) for _ in range(count)]
    with tenant(account_id), connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO auditlog_pending (entry_id, account_id, leaf_hash)"
            " SELECT id, %s, sha256(uuid_send(id)) FROM unnest(%s::uuid[]) AS n (id)",
            [account_id, ids],
        )


def seal(*, limit: int = 10_000) -> actions.SealReport:
    """Seal as the worker does."""
    with as_role("worker"):
        return actions.seal_pending(limit=limit, now=timezone.now())


def index() -> int:
    """Index words as the worker does."""
    with as_role("worker"):
        return indexing.index_all()
