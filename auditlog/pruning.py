"""Takes entries away that are past their retention.

Leaf hashes, tiles and checkpoints stay, so no root moves and every old receipt verifies. The rows
are touched by a function of the role `retention` alone, which looks at the account's days and at
Postgres's own clock.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from auditlog import actions, clock, filters, retention
from auditlog.audit import Event
from auditlog.filters import id_bounds
from auditlog.models import Head, Posting, Segment
from queensmtp.actors import Target, system_actor

PRUNED_AT_ONCE = 5_000
# How far this clock may be ahead of Postgres's, which else refuses.
SKEW = timedelta(hours=1)

# Weeks that ended before the shortest retention of any plan, and of which no entry is left.
EMPTIED = r"""
SELECT c.relname::text FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
CROSS JOIN LATERAL regexp_match(
    pg_get_expr(c.relpartbound, c.oid), '\(''([0-9a-f-]{36})''\) TO \(''([0-9a-f-]{36})''\)'
) AS bounds
WHERE i.inhparent = 'auditlog_entry'::regclass
    AND bounds[2]::uuid <= partition_bound(now() AT TIME ZONE 'UTC' - interval '90 days')
    AND NOT EXISTS (
        SELECT FROM auditlog_entry e WHERE e.id >= bounds[1]::uuid AND e.id < bounds[2]::uuid
    )
ORDER BY c.relname
"""


def prune_due(*, now: datetime) -> int:
    """Take the contents of entries past their retention; return how many entries went.

    Nothing goes before the clock made sense so many times in a row.
    """
    if not clock.confirm(now=now):
        return 0
    total = sum(_prune(account_id, now=now) for account_id in _accounts())
    drop_emptied_partitions()
    return total


def _accounts() -> list[UUID]:
    return list(Head.objects.values_list("account_id", flat=True))


def _prune(account_id: UUID, *, now: datetime) -> int:
    total = 0
    while deleted := _prune_some(account_id, _kept_since(account_id, now)):
        total += deleted
    _forget_segments(account_id, _kept_since(account_id, now))
    return total


def _kept_since(account_id: UUID, now: datetime) -> datetime:
    """Asked before each step: the days may be raised in between."""
    return now - timedelta(days=retention.days_of(account_id)) - SKEW


@transaction.atomic
def _prune_some(account_id: UUID, before: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT auditlog_prune(%s, %s, %s)", [account_id, before, PRUNED_AT_ONCE])
        deleted = int(cursor.fetchone()[0])
    if deleted:
        retention.remember_pruned(account_id=account_id, before=before)
        actions.record(
            by=system_actor(account_id, "retention"),
            event=Event.ENTRIES_PRUNED,
            target=Target("account", str(account_id)),
            changes={"entries": deleted, "before": before},
        )
    return deleted


@transaction.atomic
def _forget_segments(account_id: UUID, before: datetime) -> None:
    """The search index holds words and addresses: it goes with what it was made from."""
    _, past = id_bounds(None, before - 2 * filters.CLOCK_SLACK)
    gone = Segment.objects.filter(account_id=account_id, highest__lt=past)
    numbers = list(gone.values_list("number", flat=True))
    if numbers:
        Posting.objects.filter(account_id=account_id, segment__in=numbers).delete()
        gone.delete()


# --- Partitions --------------------------------------------------------------------------------


def drop_emptied_partitions() -> int:
    """Drop the weeks of entries of which nothing is left; return how many went.

    Leaves stand in a table of their own. Every query without a time plans for each partition.
    """
    with connection.cursor() as cursor:
        cursor.execute(EMPTIED)
        emptied = [name for (name,) in cursor.fetchall()]
    return sum(_drop(name) for name in emptied)


def _drop(partition: str) -> bool:
    """The function looks by itself whether it is empty. A lock that does not come: next hour."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT auditlog_drop_partition(%s)", [partition])
            actions.record(
                by=system_actor(None, "retention"),
                event=Event.PARTITION_DROPPED,
                target=Target("audit_partition", partition),
            )
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            return False
        raise
    return True
