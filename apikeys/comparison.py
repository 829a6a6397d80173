"""Compares the stored rows of keys with what the audit log says of them.

A row's MAC shows that QueenSMTP wrote it, not that it is the newest: a thief with the database
could put an old row back whole, and so revive a revoked key. Each change of a key leaves the MAC of
the new row in its audit entry, in the same transaction; here the newest one is compared. Both are
read by one statement, so that no change stands between.

Contents of entries end with the retention of the log. A row whose newest entry grows old is
confirmed by a new one, as long as the two agree. They end with a person who is erased, too: then
the newest MAC is unknown, an older one would raise a wrong alarm, and the row is confirmed as it
stands.
"""

import logging
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from apikeys import alarms
from apikeys.audit import Event
from auditlog import actions as audit
from queensmtp import tenancy
from queensmtp.actors import Target, system_actor

COMPARED_AT_ONCE = 1_000
KIND = "api_key.row_changed_outside"
# Half of the shortest retention.
CONFIRMED_EVERY = timedelta(days=45)

# One index probe a key (auditlog_entry_by_target), newest entry first.
COMPARE = """
SELECT k.id, k.account_id, k.name, encode(k.mac, 'hex'), told.mac, told.created_at < %s
FROM apikeys_apikey k LEFT JOIN LATERAL (
    SELECT e.changes->>'row_mac' AS mac, e.created_at FROM auditlog_entry e
    WHERE e.account_id = k.account_id AND e.target_id = k.id::text AND e.target_type = 'api_key'
      AND (e.changes->>'row_mac' IS NOT NULL OR e.salt IS NULL AND e.event = ANY (%s))
      AND e.event <> ALL (%s)
    ORDER BY e.id DESC LIMIT 1
) AS told ON true
WHERE k.id > %s ORDER BY k.id LIMIT %s
"""

# What leaves a MAC, and was done by somebody who may be erased.
BY_SOMEBODY = [
    *(Event.CREATED, Event.UPDATED, Event.ROTATED),
    *(Event.OVERLAP_ENDED, Event.REVOKED, Event.LEAKED),
]

TEXT = """\
The row of the API key {name} in the database is not the one that QueenSMTP wrote last: its audit \
log says otherwise. Somebody with access to the database put an older row back, or restored a part \
of a backup. A key that was revoked or narrowed may work again.

Revoke the key {id} now, and look into who can write to the database.
"""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """A key's row by its MAC, and the MAC that the audit log knows; None for an unknown one."""

    id: UUID
    account_id: UUID
    name: str
    mac: str
    told_mac: str | None
    is_old: bool | None


def compare_all(*, at_once: int = COMPARED_AT_ONCE) -> int:
    """Compare every key; return how many rows are not the newest."""
    wrong, after = 0, UUID(int=0)
    while rows := _rows(after, at_once):
        wrong += sum(_judge(row) for row in rows)
        after = rows[-1].id
    return wrong


def _rows(after: UUID, limit: int) -> list[Row]:
    with connection.cursor() as cursor:
        old = timezone.now() - CONFIRMED_EVERY
        told = [Event.ROW_CHANGED_OUTSIDE]
        cursor.execute(COMPARE, [old, BY_SOMEBODY, told, after, limit])
        return [Row(*row) for row in cursor.fetchall()]


@transaction.atomic
def _judge(row: Row) -> bool:
    with tenancy.tenant(row.account_id):
        if row.told_mac is not None and row.told_mac != row.mac:
            _raise_alarm(row)
            return True
        if row.told_mac is None or row.is_old:
            _record(row, Event.ROW_CONFIRMED)
        return False


def _raise_alarm(row: Row) -> None:
    """Once for each row that is found; the log of the process is told each time."""
    logger.error("key_row_changed_outside: %s", row.id)
    if alarms.is_first(account_id=row.account_id, kind=KIND, about=f"{row.id} {row.mac}"):
        _record(row, Event.ROW_CHANGED_OUTSIDE)
        alarms.tell_admins(
            account_id=row.account_id,
            kind=KIND,
            subject=f"The stored row of API key {row.name} was put back",
            text=TEXT.format(name=row.name, id=row.id),
        )


def _record(row: Row, event: Event) -> None:
    audit.record(
        by=system_actor(row.account_id, "key-rows"),
        event=event,
        target=Target("api_key", str(row.id), row.name),
        changes={"row_mac": row.mac},
    )
