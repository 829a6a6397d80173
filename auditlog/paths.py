"""Reads the inclusion paths of many leaves at once, by a handful of queries."""

from uuid import UUID

from auditlog import merkle, stored_tree
from auditlog.merkle import LeafRange
from auditlog.tiles import HEIGHT, WIDTH

Paths = dict[int, list[bytes]]


def of_leaves(account_id: UUID, leaf_indexes: list[int], *, size: int) -> Paths:
    """Return the path of each leaf to the root of the tree of this size, from the leaf up.

    In a full tile the first eight steps lie inside it, and are worked out here; the rest is the
    same for all of its leaves. The tree's right edge, less than a tile, is read leaf by leaf.
    """
    full = [index for index in leaf_indexes if (index // WIDTH + 1) * WIDTH <= size]
    edge = [index for index in leaf_indexes if (index // WIDTH + 1) * WIDTH > size]
    tiles = sorted({index // WIDTH for index in full})
    above = _paths_above(account_id, tiles, size=size)
    levels = _levels_inside(account_id, tiles)
    found = _paths(account_id, edge, size=size, skip=0)
    for index in full:
        tile, place = divmod(index, WIDTH)
        found[index] = [*_steps_inside(levels[tile], place), *above[tile]]
    return found


def _paths_above(account_id: UUID, tiles: list[int], *, size: int) -> Paths:
    found = _paths(account_id, [number * WIDTH for number in tiles], size=size, skip=HEIGHT)
    return {leaf_index // WIDTH: hashes for leaf_index, hashes in found.items()}


def _paths(account_id: UUID, leaf_indexes: list[int], *, size: int, skip: int) -> Paths:
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
