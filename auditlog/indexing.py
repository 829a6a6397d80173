"""Fills the search index, behind the sealer: nothing of it is paid for by a request.

It follows each account's leaves, a whole segment at a time, so nothing is passed over, and a run
that was cut off is done again. What no segment holds yet is searched row by row (`search`).
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import orjson
import psycopg
from django.db import connection, transaction

from auditlog import postings

SEGMENTS_AT_ONCE = 4
# Any number will do that no other advisory lock uses.
INDEXER_LOCK = 0x1DE8

BEHIND = """
SELECT h.account_id, coalesce(i.leaf_count, 0)
FROM auditlog_head h LEFT JOIN auditlog_indexed i USING (account_id)
WHERE h.size >= coalesce(i.leaf_count, 0) + %s
ORDER BY h.account_id LIMIT %s
"""

ENTRIES = """
SELECT (l.leaf_index - %(first)s)::int AS place, e.event, e.outcome, e.actor_type, e.actor_id,
    e.key_id::text, host(e.ip) AS ip, e.target_type, e.target_label, e.labels::text, e.ordinary_read
FROM auditlog_leaf l JOIN auditlog_entry e ON e.account_id = l.account_id AND e.id = l.entry_id
WHERE l.account_id = %(account_id)s AND l.leaf_index >= %(first)s AND l.leaf_index < %(past)s
    AND e.account_id = %(account_id)s AND e.id >= %(lowest)s AND e.id <= %(highest)s
ORDER BY l.leaf_index
"""

# The bounds keep Postgres out of every other partition and entry.
BOUNDS = """
WITH leaves AS MATERIALIZED (
    SELECT entry_id FROM auditlog_leaf
    WHERE account_id = %(account_id)s AND leaf_index >= %(first)s AND leaf_index < %(past)s
)
SELECT (SELECT entry_id FROM leaves ORDER BY entry_id LIMIT 1),
    (SELECT entry_id FROM leaves ORDER BY entry_id DESC LIMIT 1)
"""

INSERT_SEGMENT = """
INSERT INTO auditlog_segment (account_id, number, lowest, highest) VALUES (%s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""

INSERT_POSTINGS = """
INSERT INTO auditlog_posting (account_id, segment, token, places)
SELECT %b::uuid, %b::integer, * FROM unnest(%b::text[], %b::bytea[])
"""

FORGET_POSTINGS = "DELETE FROM auditlog_posting WHERE account_id = %s AND segment = %s"

ADVANCE = """
INSERT INTO auditlog_indexed (account_id, leaf_count) VALUES (%s, %s)
ON CONFLICT (account_id) DO UPDATE SET leaf_count = EXCLUDED.leaf_count
"""


class Segment(NamedTuple):
    account_id: UUID
    number: int

    @property
    def first(self) -> int:
        return self.number * postings.WIDTH

    @property
    def past(self) -> int:
        return self.first + postings.WIDTH

    @property
    def params(self) -> dict[str, Any]:
        return {"account_id": self.account_id, "first": self.first, "past": self.past}


@dataclass(frozen=True, slots=True)
class Findable:
    """A row of ENTRIES."""

    place: int
    event: str
    outcome: str
    actor_type: str
    actor_id: str
    key_id: str | None
    ip: str | None
    target_type: str
    target_label: str
    labels_json: str
    ordinary_read: bool

    @property
    def labels(self) -> dict[str, str]:
        found: dict[str, str] = orjson.loads(self.labels_json)
        return found


def index_all() -> int:
    """Index every segment that became full; return how many."""
    total = 0
    while done := _index_some():
        total += done
    return total


def index_again(account_id: UUID, number: int) -> None:
    """Write a segment's postings anew, after personal data went from its entries."""
    segment = Segment(account_id, number)
    with connection.cursor() as cursor:
        cursor.execute(FORGET_POSTINGS, [account_id, number])
    _insert_postings(segment, _read_postings(segment, *_bounds(segment)))


@transaction.atomic
def _index_some() -> int:
    if not _holds_lock():
        return 0
    behind = _behind()
    for segment in behind:
        _index(segment)
    return len(behind)


def _holds_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [INDEXER_LOCK])
        return bool(cursor.fetchone()[0])


def _behind() -> list[Segment]:
    with connection.cursor() as cursor:
        cursor.execute(BEHIND, [postings.WIDTH, SEGMENTS_AT_ONCE])
        return [Segment(account, count // postings.WIDTH) for account, count in cursor.fetchall()]


def _index(segment: Segment) -> None:
    lowest, highest = _bounds(segment)
    _insert_postings(segment, _read_postings(segment, lowest, highest))
    with connection.cursor() as cursor:
        cursor.execute(INSERT_SEGMENT, [*segment, lowest, highest])
        cursor.execute(ADVANCE, [segment.account_id, segment.past])


def _bounds(segment: Segment) -> tuple[UUID, UUID]:
    with connection.cursor() as cursor:
        cursor.execute(BOUNDS, segment.params)
        lowest, highest = cursor.fetchone()
        return lowest, highest


def _read_postings(segment: Segment, lowest: UUID, highest: UUID) -> Mapping[str, bytes]:
    places: dict[str, list[int]] = defaultdict(list)
    params = {**segment.params, "lowest": lowest, "highest": highest}
    with psycopg.Cursor(connection.connection) as cursor:
        for row in cursor.execute(ENTRIES, params):
            entry = Findable(*row)
            for token in dict.fromkeys(postings.tokens_of(entry)):
                places[token].append(entry.place)
    return {token: postings.packed(found) for token, found in places.items()}


def _insert_postings(segment: Segment, found: Mapping[str, bytes]) -> None:
    if not found:
        return
    columns: list[Any] = [list(found), list(found.values())]
    # Arrays in binary, as the sealer sends them.
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(INSERT_POSTINGS, [segment.account_id, segment.number, *columns])
