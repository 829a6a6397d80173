"""Fills the table of words, behind the sealer: nothing of it is paid for by a request.

It follows each account's leaves, so nothing is passed over, and a run that was cut off is done
again.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from django.db import connection, transaction

from auditlog import words

INDEXED_AT_ONCE = 5_000
# Any number will do that no other advisory lock uses.
INDEXER_LOCK = 0x1DE8

BEHIND = """
SELECT h.account_id, coalesce(i.leaf_count, 0), h.size
FROM auditlog_head h LEFT JOIN auditlog_indexed i USING (account_id)
WHERE h.size > coalesce(i.leaf_count, 0)
ORDER BY h.account_id LIMIT 200
"""

# Only what words come from: most entries have neither, and cost no more than this look.
FINDABLE = """
SELECT e.id, e.target_id, e.target_label, e.labels::text
FROM auditlog_leaf l JOIN auditlog_entry e ON e.account_id = l.account_id AND e.id = l.entry_id
WHERE l.account_id = %s AND l.leaf_index >= %s AND l.leaf_index < %s
    AND (e.target_id <> '' OR e.target_label <> '' OR e.labels <> '{}')
"""

INSERT_WORDS = """
INSERT INTO auditlog_word (account_id, word, entry_id)
SELECT %b::uuid, * FROM unnest(%b::text[], %b::uuid[]) ON CONFLICT DO NOTHING
"""

ADVANCE = """
INSERT INTO auditlog_indexed (account_id, leaf_count) VALUES (%s, %s)
ON CONFLICT (account_id) DO UPDATE SET leaf_count = EXCLUDED.leaf_count
"""


class Stretch(NamedTuple):
    """The leaves of an account that are to be indexed now, ``first <= index < past``."""

    account_id: UUID
    first: int
    past: int


def index_all(*, at_once: int = INDEXED_AT_ONCE) -> int:
    """Index whatever was sealed; return how many leaves were looked at."""
    total = 0
    while done := _index_some(at_once):
        total += done
    return total


@transaction.atomic
def _index_some(at_once: int) -> int:
    if not _holds_lock():
        return 0
    total = 0
    for stretch in _behind(at_once):
        _index(stretch)
        total += stretch.past - stretch.first
        if total >= at_once:
            break
    return total


def _holds_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [INDEXER_LOCK])
        return bool(cursor.fetchone()[0])


def _behind(at_once: int) -> list[Stretch]:
    with connection.cursor() as cursor:
        cursor.execute(BEHIND)
        return [
            Stretch(account_id, first, min(size, first + at_once))
            for account_id, first, size in cursor.fetchall()
        ]


def _index(stretch: Stretch) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FINDABLE, stretch)
        found = [
            (word, entry_id)
            for entry_id, target_id, label, labels in cursor.fetchall()
            for word in words.of_entry(
                target_id=target_id, target_label=label, labels=json.loads(labels)
            )
        ]
    _insert(stretch.account_id, found)
    with connection.cursor() as cursor:
        cursor.execute(ADVANCE, [stretch.account_id, stretch.past])


def _insert(account_id: UUID, found: Sequence[tuple[str, UUID]]) -> None:
    if not found:
        return
    columns: list[Any] = [list(column) for column in zip(*found, strict=True)]
    # Arrays in binary, as the sealer sends them.
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(INSERT_WORDS, [account_id, *columns])
