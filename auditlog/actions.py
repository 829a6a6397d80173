"""Everything that writes the log: entries in the caller's transaction, and the sealing of them."""

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import connection, transaction
from psycopg.errors import UniqueViolation

from auditlog import checkpoints, entries, log_keys, memory, publication, recording, stored_tree
from auditlog.audit import Event
from auditlog.checkpoints import BadCheckpoint, Checkpoint
from auditlog.errors import HeadMoved, HistoryChanged
from auditlog.growth import Growth, Waiting, edges_needed, grown
from auditlog.memory import Signed
from auditlog.merkle import Frontier
from auditlog.models import Alarm, Dispute
from auditlog.stored_tree import Wanted
from queensmtp import hot, tenancy
from queensmtp.actors import Actor, Target, system_actor

SEALED_AT_ONCE = 10_000

logger = logging.getLogger(__name__)


# --- Entries -----------------------------------------------------------------------------------

RECORD = f"WITH one AS (SELECT 1), {entries.insert_ctes('one')} SELECT 1"

# The tenant and the wait for the disk travel with the entry: one round trip.
RECORD_ALONE = (
    "WITH one AS MATERIALIZED (SELECT set_config('app.account_id', %s, true),"
    " set_config('synchronous_commit', %s, true)), "
    f"{entries.insert_ctes('one')} SELECT 1"
)


def record(
    *,
    by: Actor,
    event: str,
    target: Target | None = None,
    outcome: str = "allowed",
    changes: Mapping[str, Any] | None = None,
    count: int = 1,
) -> UUID:
    """Write an entry inside the caller's transaction: it stands or falls with the action."""
    entry = entries.build(
        by=by, event=event, target=target, outcome=outcome, changes=changes, count=count
    )
    own = entry.account_id == tenancy.current_account_id()
    with nullcontext() if own else tenancy.tenant(entry.account_id):
        hot.fetch_one(RECORD, entry.params())
    recording.noticed(entry.event)
    return entry.id


def record_alone(
    *,
    by: Actor,
    event: str,
    target: Target | None = None,
    outcome: str = "allowed",
    changes: Mapping[str, Any] | None = None,
) -> UUID:
    """Write an entry in a transaction of its own; an ordinary read does not wait for the disk."""
    if connection.in_atomic_block:
        return record(by=by, event=event, target=target, outcome=outcome, changes=changes)
    entry = entries.build(by=by, event=event, target=target, outcome=outcome, changes=changes)
    waits = "off" if entry.ordinary_read else "on"
    hot.fetch_one(RECORD_ALONE, [str(entry.account_id), waits, *entry.params()])
    return entry.id


# --- Sealing -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SealReport:
    """What one run of the sealer did."""

    entry_count: int = 0
    account_count: int = 0
    # Another sealer holds the lock.
    is_busy: bool = False
    # Accounts whose tree is not what we signed: their entries wait, and someone must look.
    set_aside: frozenset[UUID] = field(default_factory=frozenset)
    signed: tuple[Signed, ...] = ()


TAKE_PENDING = """
DELETE FROM auditlog_pending WHERE entry_id = ANY (ARRAY(
    SELECT entry_id FROM auditlog_pending WHERE account_id <> ALL (%s::uuid[])
    ORDER BY entry_id LIMIT %s
)) RETURNING account_id, entry_id, leaf_hash
"""

WAITING_AGAIN = """
SELECT DISTINCT account_id FROM auditlog_pending JOIN auditlog_leaf USING (account_id, entry_id)
"""

READ_HEADS = """
SELECT a.account_id, h.size, h.root, h.frontier, h.note,
    (SELECT max(leaf_index) FROM auditlog_leaf l WHERE l.account_id = a.account_id)
FROM unnest(%s::uuid[]) AS a (account_id)
LEFT JOIN auditlog_head h ON h.account_id = a.account_id
"""

# Arrays travel in binary (%b): escaping bytes one by one took a third of the time.
INSERT_LEAVES = """
INSERT INTO auditlog_leaf (account_id, leaf_index, entry_id, hash)
SELECT * FROM unnest(%b::uuid[], %b::bigint[], %b::uuid[], %b::bytea[])
"""

INSERT_TILES = """
INSERT INTO auditlog_tile (account_id, level, number, hashes, root)
SELECT * FROM unnest(%b::uuid[], %b::smallint[], %b::bigint[], %b::bytea[], %b::bytea[])
"""

INSERT_HEADS = """
INSERT INTO auditlog_head
    (account_id, size, root, frontier, note, updated_at, published_size, published_at)
SELECT account_id, size, root, frontier, note, %b::timestamptz, 0, NULL
FROM unnest(%b::uuid[], %b::bigint[], %b::bytea[], %b::bytea[], %b::text[])
    AS n (account_id, size, root, frontier, note)
ON CONFLICT DO NOTHING
"""

# Compare and set: a head that is not the one we read stays as it is, and is not counted.
MOVE_HEADS = """
UPDATE auditlog_head h
SET size = n.size, root = n.root, frontier = n.frontier, note = n.note, updated_at = %b::timestamptz
FROM unnest(%b::uuid[], %b::bigint[], %b::bytea[], %b::bytea[], %b::text[], %b::bigint[],
    %b::bytea[]) AS n (account_id, size, root, frontier, note, old_size, old_root)
WHERE h.account_id = n.account_id AND h.size = n.old_size AND h.root = n.old_root
"""


def seal_all(*, now: datetime, at_once: int = SEALED_AT_ONCE) -> int:
    """Seal whatever waits, then publish what is due; return how many entries were sealed.

    Each step begins where a crash left it: what waits is in the pending table, what is not yet
    published is a head above its published size, what the file lacks has a higher number.
    """
    total, report = 0, SealReport(entry_count=at_once)
    while report.entry_count == at_once:
        report = seal_pending(limit=at_once, now=now)
        total += report.entry_count
    publication.publish_due(now=now)
    publication.write_file()
    return total


def seal_pending(*, limit: int, now: datetime) -> SealReport:
    """Give each waiting entry its leaf, and sign every head that grew: all of it, or nothing.

    An account whose stored tree contradicts what we signed, or what a witness saw, is set aside;
    the others go on.
    """
    log_keys.signing_key()
    set_aside = set(Dispute.objects.values_list("account_id", flat=True))
    while True:
        try:
            with transaction.atomic():
                report = _seal(limit, now, frozenset(set_aside))
            memory.remember(settings.AUDIT_MEMORY_FILE, report.signed)
            return report
        except (HistoryChanged, UniqueViolation) as error:
            changed = _changed_accounts(error) - set_aside
            if not changed:
                raise
            logger.critical("audit_log_changed", extra={"account_ids": sorted(map(str, changed))})
            for account_id in changed:
                raise_alarm(account_id=account_id, reason=_reason(error), found_by="sealer")
            set_aside |= changed


def _changed_accounts(error: HistoryChanged | UniqueViolation) -> set[UUID]:
    """Return whom an error is about. A leaf that waits a second time stands in its unique index."""
    if isinstance(error, HistoryChanged):
        return {error.account_id}
    with connection.cursor() as cursor:
        cursor.execute(WAITING_AGAIN)
        return {account_id for (account_id,) in cursor.fetchall()}


def _reason(error: HistoryChanged | UniqueViolation) -> str:
    if isinstance(error, HistoryChanged):
        return error.reason
    return "an entry that is sealed waits to be sealed a second time"


@transaction.atomic
def raise_alarm(*, account_id: UUID, reason: str, found_by: str) -> None:
    """Say once that an account's log is not what was signed; members are told of it by e-mail."""
    _, is_new = Alarm.objects.get_or_create(
        account_id=account_id, reason=reason, defaults={"found_by": found_by}
    )
    if is_new:
        record(
            by=system_actor(account_id, found_by),
            event=Event.CHECKPOINT_DISPUTED,
            target=Target("audit_log", str(account_id)),
            outcome="failed",
            changes={"reason": reason},
        )


def _seal(limit: int, now: datetime, set_aside: frozenset[UUID]) -> SealReport:
    if not publication.try_sealer_lock():
        return SealReport(is_busy=True, set_aside=set_aside)
    waiting = _take_pending(limit, set_aside)
    growths = _grow(waiting)
    _insert_leaves(growths)
    _insert_tiles(growths)
    _move_heads(growths, now)
    return SealReport(
        entry_count=len(waiting),
        account_count=len(growths),
        set_aside=set_aside,
        signed=tuple(
            Signed(growth.account_id, growth.after.size, growth.after.root) for growth in growths
        ),
    )


def _take_pending(limit: int, set_aside: Collection[UUID]) -> list[Waiting]:
    with connection.cursor() as cursor:
        cursor.execute(TAKE_PENDING, [list(set_aside), limit])
        rows = [Waiting(account, entry, bytes(leaf)) for account, entry, leaf in cursor.fetchall()]
    return sorted(rows, key=_place)


def _place(leaf: Waiting) -> tuple[int, int]:
    # Ids are time-ordered. Comparing their integers is several times faster than comparing UUIDs.
    return leaf.account_id.int, leaf.entry_id.int


def _grow(waiting: list[Waiting]) -> list[Growth]:
    of_account = {
        account_id: list(leaves)
        for account_id, leaves in groupby(waiting, key=attrgetter("account_id"))
    }
    trees = _read_trees(list(of_account))
    memory.check(settings.AUDIT_MEMORY_FILE, trees)
    wanted = {
        account_id: [
            Wanted(account_id, trees[account_id].size, span)
            for span in edges_needed(trees[account_id].size, len(leaves))
        ]
        for account_id, leaves in of_account.items()
    }
    edges = stored_tree.read(each for group in wanted.values() for each in group)
    return [
        grown(
            account_id,
            trees[account_id],
            leaves,
            {each.span: edges[each] for each in wanted[account_id]},
        )
        for account_id, leaves in of_account.items()
    ]


def _read_trees(account_ids: list[UUID]) -> dict[UUID, Frontier]:
    with connection.cursor() as cursor:
        cursor.execute(READ_HEADS, [account_ids])
        return {account_id: _tree(account_id, *head) for account_id, *head in cursor.fetchall()}


def _tree(
    account_id: UUID,
    size: int | None,
    root: bytes,
    frontier: bytes,
    note: str,
    last_leaf: int | None,
) -> Frontier:
    """Return a stored tree, if it is the one that we signed."""
    leaf_count = 0 if last_leaf is None else last_leaf + 1
    if leaf_count != (size or 0):
        raise HistoryChanged(account_id, f"the head counts {size or 0} leaves, not {leaf_count}")
    if size is None:
        return Frontier()
    try:
        tree = Frontier.unpacked(size, bytes(frontier))
        signed = checkpoints.verify(
            note, origin=origin(account_id), public_keys=log_keys.public_keys()
        )
    except (BadCheckpoint, ValueError) as error:
        raise HistoryChanged(account_id, str(error)) from error
    if (signed.size, signed.root) != (size, bytes(root)) or tree.root != signed.root:
        raise HistoryChanged(account_id, "the head is not the one that we signed")
    return tree


def _insert_leaves(growths: Sequence[Growth]) -> None:
    rows = [
        (leaf.account_id, growth.before.size + place, leaf.entry_id, leaf.leaf_hash)
        for growth in growths
        for place, leaf in enumerate(growth.leaves)
    ]
    _execute_in_bulk(INSERT_LEAVES, [], rows)


def _insert_tiles(growths: Sequence[Growth]) -> None:
    rows = [(growth.account_id, *tile) for growth in growths for tile in growth.tiles]
    _execute_in_bulk(INSERT_TILES, [], rows)


def _move_heads(growths: Sequence[Growth], now: datetime) -> None:
    new = [_new_head(growth) for growth in growths if not growth.before.size]
    moved = [
        (*_new_head(growth), growth.before.size, growth.before.root)
        for growth in growths
        if growth.before.size
    ]
    written = _execute_in_bulk(INSERT_HEADS, [now], new) + _execute_in_bulk(
        MOVE_HEADS, [now], moved
    )
    if written != len(growths):
        raise HeadMoved(f"{len(growths) - written} of {len(growths)} heads had moved")


def _new_head(growth: Growth) -> tuple[UUID, int, bytes, bytes, str]:
    checkpoint = Checkpoint(
        origin=origin(growth.account_id), size=growth.after.size, root=growth.after.root
    )
    note = checkpoints.sign(checkpoint, log_keys.signing_key())
    return (
        growth.account_id,
        checkpoint.size,
        checkpoint.root,
        growth.after.packed(),
        note,
    )


def origin(account_id: UUID) -> str:
    return checkpoints.origin_of(settings.AUDIT_LOG_HOST, account_id)


def _execute_in_bulk(query: str, first: list[Any], rows: Sequence[tuple[Any, ...]]) -> int:
    """Run a statement whose arrays are the columns of the rows; return how many it wrote."""
    if not rows:
        return 0
    columns = [list(column) for column in zip(*rows, strict=True)]
    # Django's own cursor writes parameters into the text, which is slow for arrays of bytes.
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(query, [*first, *columns])
        return cursor.rowcount
