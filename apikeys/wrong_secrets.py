"""Counts keys that were presented with a wrong secret: one entry per key, address and minute.

Who guesses at a key must neither fill its owner's log nor go unseen. Each guess adds one to a row
in Postgres, so the count is right over all processes and whatever Valkey remembers; a worker
turns the rows of a minute that has passed into entries. An id that no key has is counted in the
same way, so that both cost the same time; its count becomes a line in the process's log.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from apikeys.audit import Event
from apikeys.policy import KeyRecord, Reason
from auditlog import actions as audit
from queensmtp import client_address, hot, tenancy
from queensmtp.actors import Actor, Origin, Target

NO_KEY = UUID(int=0)
TAKEN_AT_ONCE = 500

# The tenant travels with the statement. It does not wait for the disk: guesses come in floods.
COUNT_ONE = """
WITH one AS MATERIALIZED (
    SELECT set_config('app.account_id', %s, true), set_config('synchronous_commit', 'off', true)
)
INSERT INTO apikeys_wrongsecret AS stored (account_id, key_id, network, minute, count, key_name,
    labels, address, user_agent, request_id)
SELECT %s::uuid, %s::uuid, %s::text, date_trunc('minute', now()), 1, %s::text,
    %s::jsonb, %s::inet, %s::text, %s::text
FROM one
ON CONFLICT (key_id, network, minute) DO UPDATE SET count = stored.count + 1,
    address = excluded.address, user_agent = excluded.user_agent, request_id = excluded.request_id
RETURNING 1
"""

# A statement that began in the last moment of a minute has ended five seconds later.
TAKE_PASSED = """
DELETE FROM apikeys_wrongsecret WHERE (key_id, network, minute) IN (
    SELECT key_id, network, minute FROM apikeys_wrongsecret
    WHERE minute <= now() - interval '65 seconds' ORDER BY minute LIMIT %s
)
RETURNING account_id, key_id, minute, count, key_name, labels, host(address), user_agent, request_id
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Guesses:
    """What one address presented in one minute for one key, and the last of it."""

    account_id: UUID
    key_id: UUID
    minute: datetime
    count: int
    key_name: str
    labels: Mapping[str, str]
    address: str | None
    user_agent: str
    request_id: str


def count_one(record: KeyRecord | None, *, origin: Origin) -> None:
    """Count a guess at this key, or at none."""
    account_id = record.account_id if record else tenancy.PLATFORM_ACCOUNT_ID
    values = [
        str(account_id),
        account_id,
        record.id if record else NO_KEY,
        client_address.counted_as(origin.ip),
        record.name if record else "",
        json.dumps(record.labels if record else {}),
        origin.ip,
        origin.user_agent.replace("\0", ""),
        origin.request_id,
    ]
    # Inside a transaction the statement must not leave its tenant behind.
    inside = connection.in_atomic_block
    with tenancy.tenant(account_id) if inside else nullcontext():
        hot.fetch_one(COUNT_ONE, values)


def record_passed(*, at_once: int = TAKEN_AT_ONCE) -> int:
    """Write the entries of the minutes that have passed; return how many were written."""
    total, taken = 0, at_once
    while taken == at_once:
        taken, written = _record_some(at_once)
        total += written
    return total


@transaction.atomic
def _record_some(at_once: int) -> tuple[int, int]:
    with connection.cursor() as cursor:
        cursor.execute(TAKE_PASSED, [at_once])
        passed = [_read(row) for row in cursor.fetchall()]
    of_keys = [one for one in passed if one.key_id != NO_KEY]
    for guesses in of_keys:
        _record(guesses)
    if unknown := sum(one.count for one in passed if one.key_id == NO_KEY):
        logger.info("unknown_keys_presented", extra={"count": unknown})
    return len(passed), len(of_keys)


def _read(row: Sequence[Any]) -> Guesses:
    account_id, key_id, minute, count, key_name, labels, *last = row
    return Guesses(account_id, key_id, minute, count, key_name, json.loads(labels), *last)


def _record(guesses: Guesses) -> None:
    """The key did nothing: a stranger only knew its id."""
    by = Actor(
        type="system",
        id="authentication",
        label="authentication",
        account_id=guesses.account_id,
        origin=Origin(guesses.address, guesses.user_agent, guesses.request_id),
        key_id=guesses.key_id,
        labels=guesses.labels,
    )
    audit.record(
        by=by,
        event=Event.WRONG_SECRET_PRESENTED,
        target=Target("api_key", str(guesses.key_id), guesses.key_name),
        outcome="refused",
        changes={"reason": Reason.WRONG_SECRET, "minute": guesses.minute},
        count=guesses.count,
    )
