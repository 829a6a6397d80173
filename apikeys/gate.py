"""Reads the key that a request presents: one indexed query, no cache, so revocation is instant.

Requests that are handled together share the query."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import orjson
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apikeys import decoys, failures, peppers, policy, tokens, wrong_secrets
from apikeys.policy import KeyRecord, Reason, Refusal
from queensmtp import hot
from queensmtp.actors import Actor, Origin
from queensmtp.errors import ApiError, InvalidApiKey, MissingApiKey
from queensmtp.together import Question, Step

LOOK_UP = "SELECT * FROM api_key_by_public_id(%s)"
LOOK_UP_MANY = (
    "SELECT found.* FROM unnest(%s::text[]) AS wanted (id)"
    " CROSS JOIN LATERAL api_key_by_public_id(wanted.id) AS found"
)
LABELS_AT = [one.name for one in fields(KeyRecord)].index("labels")
# In the audit entry of a request that only a learning key's allowlist let pass.
LEARNED = "would_be_refused"


@dataclass(frozen=True, slots=True)
class Presented:
    """The outcome of presenting a token: a key that may be used, or a refusal.

    `actor` is there whenever a real key was named, so that the refusal reaches its audit log.
    """

    record: KeyRecord | None
    actor: Actor | None
    refusal: Refusal | None


def present_header(header: str | None, *, origin: Origin) -> Presented:
    """Present the value of an `Authorization` header (RFC 6750, section 2.1)."""
    scheme, _, credentials = (header or "").strip(" ").partition(" ")
    credentials = credentials.strip(" ")
    if scheme.lower() != "bearer" or not credentials:
        return _no_key(MissingApiKey(), origin)
    return present(credentials, origin=origin)


def present(text: str, *, origin: Origin, now: datetime | None = None) -> Presented:
    """Present a token; a mistyped one is refused without touching the database."""
    token = tokens.parse(text)
    if token is None:
        return _no_key(InvalidApiKey(), origin)
    record = find_record(token.public_id)
    now = now or timezone.now()
    refusal = policy.authenticate(
        record,
        token,
        address=origin.ip,
        now=now,
        peppers=dict(settings.KEY_PEPPERS),
    )
    if refusal is not None and not refusal.names_real_key:
        wrong_secrets.count_one(record, origin=origin)
    if record is not None and refusal is None:
        record = peppers.upgrade(record, token)
    if record is not None and refusal is not None and refusal.reason == Reason.DECOY:
        decoys.raise_alarm(record, origin=origin)
    actor = actor_of(record, origin=origin, now=now) if record else None
    return Presented(record, actor, _counted(refusal, origin) if refusal else None)


def _no_key(error: ApiError, origin: Origin) -> Presented:
    return Presented(None, None, _counted(Refusal(Reason.UNKNOWN, error), origin))


def _counted(refusal: Refusal, origin: Origin) -> Refusal:
    """The refusal, or 429 when its address failed too often; the owner reads the true reason."""
    too_many = failures.count_one(origin.ip)
    return Refusal(refusal.reason, too_many) if too_many else refusal


def find_record(public_id: str) -> KeyRecord | None:
    """The key row with this public id, of whichever account."""
    return _RECORD.ask(public_id)


def find_records(public_ids: Iterable[str]) -> dict[str, KeyRecord]:
    """The key rows with these public ids, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(LOOK_UP_MANY, [list(public_ids)])
        records = map(_record_of_row, cursor.fetchall())
        return {record.public_id: record for record in records}


def _find_one(public_id: str) -> KeyRecord | None:
    row = hot.fetch_one(LOOK_UP, [public_id])
    return None if row is None else _record_of_row(row)


def _find_for_many(public_ids: Sequence[str]) -> list[KeyRecord | None]:
    """Read after all of them had come, so none of them acts with rights from before it began."""
    rows = hot.fetch_all(LOOK_UP_MANY, [sorted(set(public_ids))])
    found = {record.public_id: record for record in map(_record_of_row, rows)}
    return [found.get(one) for one in public_ids]


_RECORD = Question(Step.KEY, _find_one, _find_for_many)


def _record_of_row(row: Sequence[Any]) -> KeyRecord:
    values: list[Any] = list(map(_frozen, row))
    values[LABELS_AT] = orjson.loads(values[LABELS_AT])
    return KeyRecord(*values)


def actor_of(record: KeyRecord, *, origin: Origin, now: datetime | None = None) -> Actor:
    """The key as the one who acts. While it learns, whatever it does says what it would not have
    been let do."""
    learned = policy.is_learning(record, now or timezone.now()) and policy.is_outside(
        record, origin.ip
    )
    return Actor(
        type="key",
        id=str(record.id),
        label=record.name,
        account_id=record.account_id,
        origin=origin,
        key_id=record.id,
        labels=record.labels,
        remarks={LEARNED: Reason.IP_NOT_ALLOWED} if learned else {},
    )


def _frozen(column: object) -> object:
    if isinstance(column, list):
        return tuple(column)
    return bytes(column) if isinstance(column, memoryview) else column
