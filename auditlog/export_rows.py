"""Reads what an export holds, in leaf order, a stretch of leaves at a time: memory stays flat.

Each stretch is read for itself. One long snapshot would keep what the sealer deletes from being
vacuumed for as long as the export runs.
"""

from collections.abc import Iterator
from operator import attrgetter
from uuid import UUID

from auditlog import merkle, stored_tree
from auditlog.export_lines import Row
from auditlog.filters import Filters
from auditlog.merkle import LeafRange
from auditlog.models import Entry, EntryQuerySet, Leaf, LeafQuerySet
from auditlog.tiles import HEIGHT, WIDTH

# A whole number of tiles.
STRETCH = 16 * WIDTH


def count(account_id: UUID, filters: Filters, *, size: int) -> int:
    """Return how many sealed entries the filters find among the first `size` leaves."""
    found = _matching(account_id, filters, first=0, past=size)
    if not filters.words:
        return found.count()
    return sum(one.has_words(filters.words) for one in found.only("target_label").iterator(STRETCH))


def stretches(
    account_id: UUID, filters: Filters, *, size: int, proofs: bool
) -> Iterator[list[Row]]:
    """Yield the rows of one stretch after the other; some may be empty."""
    for first in range(0, size, STRETCH):
        past = min(first + STRETCH, size)
        rows = _rows(account_id, filters, first=first, past=past)
        yield proven(account_id, rows, size=size) if proofs else rows


def _rows(account_id: UUID, filters: Filters, *, first: int, past: int) -> list[Row]:
    found = _matching(account_id, filters, first=first, past=past)
    entries = [entry for entry in found if entry.has_words(filters.words)]
    places = _places(account_id, [entry.id for entry in entries], first=first, past=past)
    rows = [Row(entry=entry, leaf_index=places[entry.id]) for entry in entries]
    return sorted(rows, key=attrgetter("leaf_index"))


def _places(account_id: UUID, ids: list[UUID], *, first: int, past: int) -> dict[UUID, int]:
    if len(ids) < WIDTH:
        return Leaf.objects.indexes_of(account_id, ids)
    leaves = _leaves(account_id, first=first, past=past)
    return dict(leaves.values_list("entry_id", "leaf_index"))


def _matching(account_id: UUID, filters: Filters, *, first: int, past: int) -> EntryQuerySet:
    leaves = _leaves(account_id, first=first, past=past)
    found = Entry.objects.of_account(account_id).matching(filters)
    if past - first > STRETCH:
        return found.filter(id__in=leaves.values("entry_id"))
    # The bounds keep Postgres out of every other partition and entry.
    ids = list(leaves.values_list("entry_id", flat=True))
    if not ids:
        return found.none()
    return found.filter(id__gte=min(ids), id__lte=max(ids), id__in=leaves.values("entry_id"))


def _leaves(account_id: UUID, *, first: int, past: int) -> LeafQuerySet:
    return Leaf.objects.filter(account_id=account_id, leaf_index__gte=first, leaf_index__lt=past)


def proven(account_id: UUID, rows: list[Row], *, size: int) -> list[Row]:
    """Add the path of each row.

    In a full tile the first eight steps lie inside it, and are worked out here; the rest is the
    same for all of its leaves. The tree's right edge, less than a tile, is read leaf by leaf.
    """
    tiles = sorted({row.leaf_index // WIDTH for row in rows})
    full = [number for number in tiles if (number + 1) * WIDTH <= size]
    edge = [row.leaf_index for row in rows if (row.leaf_index // WIDTH + 1) * WIDTH > size]
    paths = _paths_above(account_id, full, size=size)
    levels = _levels_inside(account_id, full)
    beside = _paths(account_id, edge, size=size, skip=0)
    return [
        Row(
            row.entry,
            row.leaf_index,
            beside[row.leaf_index]
            if row.leaf_index in beside
            else [
                *_steps_inside(levels[row.leaf_index // WIDTH], row.leaf_index % WIDTH),
                *paths[row.leaf_index // WIDTH],
            ],
        )
        for row in rows
    ]


def _paths_above(account_id: UUID, tiles: list[int], *, size: int) -> dict[int, list[bytes]]:
    found = _paths(account_id, [number * WIDTH for number in tiles], size=size, skip=HEIGHT)
    return {leaf_index // WIDTH: hashes for leaf_index, hashes in found.items()}


def _paths(
    account_id: UUID, leaf_indexes: list[int], *, size: int, skip: int
) -> dict[int, list[bytes]]:
    """Return the path of each leaf without its first steps, all by three queries."""
    wanted = {index: merkle.inclusion_ranges(index, size)[skip:] for index in leaf_indexes}
    ranges: list[LeafRange] = list(dict.fromkeys(one for path in wanted.values() for one in path))
    hashes = dict(zip(ranges, stored_tree.hashes_of(account_id, size, ranges), strict=True))
    return {index: [hashes[one] for one in path] for index, path in wanted.items()}


def _levels_inside(account_id: UUID, tiles: list[int]) -> dict[int, list[list[bytes]]]:
    """Return every level of each tile, from its leaves up to the two hashes below its root."""
    found: dict[int, list[list[bytes]]] = {}
    for number, hashes in stored_tree.tiles(account_id, level=0, numbers=tiles).items():
        levels = [merkle.split(hashes)]
        while len(levels[-1]) > 2:
            below = levels[-1]
            levels.append(
                [merkle.node_hash(below[at], below[at + 1]) for at in range(0, len(below), 2)]
            )
        found[number] = levels
    return found


def _steps_inside(levels: list[list[bytes]], place: int) -> list[bytes]:
    return [level[(place >> height) ^ 1] for height, level in enumerate(levels)]
