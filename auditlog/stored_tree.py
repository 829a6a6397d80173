"""Reads hashes of the tree as it is kept: full tiles, and its right edge."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple
from uuid import UUID

from django.db import connection

from auditlog.errors import BrokenTree
from auditlog.merkle import LeafRange, fold, nodes, perfect_root
from auditlog.tiles import WIDTH, Span, span_of

FULL_TILES = """
SELECT w.place, t.hashes
FROM unnest(%s::uuid[], %s::smallint[], %s::bigint[]) WITH ORDINALITY
    AS w (account_id, level, number, place)
JOIN auditlog_tile t USING (account_id, level, number)
"""

# No span is wider than a tile. The limit says so to Postgres, which would otherwise expect a ninth
# of the table from any two bounds, and read all of it.
LEAVES = f"""
SELECT w.place, l.hash
FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[]) WITH ORDINALITY
    AS w (account_id, first, past, place)
CROSS JOIN LATERAL (
    SELECT leaf_index, hash FROM auditlog_leaf
    WHERE account_id = w.account_id AND leaf_index >= w.first AND leaf_index < w.past
    ORDER BY leaf_index LIMIT {WIDTH}
) l
ORDER BY w.place, l.leaf_index
"""

TILE_ROOTS = f"""
SELECT w.place, t.root
FROM unnest(%s::uuid[], %s::smallint[], %s::bigint[], %s::bigint[]) WITH ORDINALITY
    AS w (account_id, level, first, past, place)
CROSS JOIN LATERAL (
    SELECT number, root FROM auditlog_tile
    WHERE account_id = w.account_id AND level = w.level
        AND number >= w.first AND number < w.past
    ORDER BY number LIMIT {WIDTH}
) t
ORDER BY w.place, t.number
"""


Columns = list[list[UUID] | list[int]]


class Wanted(NamedTuple):
    """A span of an account's tree, and that tree's size."""

    account_id: UUID
    size: int
    span: Span


def hashes_of(account_id: UUID, size: int, ranges: Sequence[LeafRange]) -> list[bytes]:
    """Return the hash over each of these ranges of leaves, as the tree of this size has them."""
    spans = [[span_of(node) for node in nodes(each)] for each in ranges]
    found = read(Wanted(account_id, size, span) for group in spans for span in group)
    return [
        fold([perfect_root(found[Wanted(account_id, size, span)]) for span in group])
        for group in spans
    ]


def tiles(account_id: UUID, *, level: int, numbers: list[int]) -> dict[int, bytes]:
    """Return the packed hashes of each of these full tiles of a level."""
    columns: Columns = [[account_id] * len(numbers), [level] * len(numbers), numbers]
    with connection.cursor() as cursor:
        cursor.execute(FULL_TILES, columns)
        found = {numbers[place - 1]: bytes(packed) for place, packed in cursor.fetchall()}
    if len(found) != len(numbers):
        raise BrokenTree(account_id, f"tiles of level {level} are missing")
    return found


def read(wanted: Iterable[Wanted]) -> dict[Wanted, list[bytes]]:
    """Return the hashes of each span. Three queries at most, whatever is wanted."""
    wanted = list(dict.fromkeys(wanted))
    full = [each for each in wanted if each.span.is_in_full_tile(each.size)]
    edge = [each for each in wanted if not each.span.is_in_full_tile(each.size)]
    found = {
        **_from_tiles(full),
        **_from_leaves([each for each in edge if each.span.level == 0]),
        **_from_roots([each for each in edge if each.span.level > 0]),
    }
    for each in wanted:
        if len(found.get(each, [])) != each.span.end - each.span.start:
            raise BrokenTree(each.account_id, f"hashes at {each.span} are missing")
    return found


def _from_tiles(wanted: list[Wanted]) -> dict[Wanted, list[bytes]]:
    columns: Columns = [
        [each.account_id for each in wanted],
        [each.span.level for each in wanted],
        [each.span.number for each in wanted],
    ]
    return {
        each: each.span.cut(packed)
        for each, (packed,) in _grouped(FULL_TILES, columns, wanted).items()
    }


def _from_leaves(wanted: list[Wanted]) -> dict[Wanted, list[bytes]]:
    columns: Columns = [
        [each.account_id for each in wanted],
        [each.span.start for each in wanted],
        [each.span.end for each in wanted],
    ]
    return _grouped(LEAVES, columns, wanted)


def _from_roots(wanted: list[Wanted]) -> dict[Wanted, list[bytes]]:
    columns: Columns = [
        [each.account_id for each in wanted],
        [each.span.level - 1 for each in wanted],
        [each.span.start for each in wanted],
        [each.span.end for each in wanted],
    ]
    return _grouped(TILE_ROOTS, columns, wanted)


def _grouped(query: str, columns: Columns, wanted: list[Wanted]) -> dict[Wanted, list[bytes]]:
    """Run a query whose rows are (1-based place in ``wanted``, bytes), and gather its rows."""
    if not wanted:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(query, columns)
        rows = sorted(cursor.fetchall(), key=itemgetter(0))
    return {
        wanted[place - 1]: [bytes(value) for _, value in group]
        for place, group in groupby(rows, key=itemgetter(0))
    }
