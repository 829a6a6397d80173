"""What an account's tree gains when leaves are appended to it. Pure: reads and writes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple
from uuid import UUID

from auditlog.merkle import Frontier
from auditlog.tiles import HEIGHT, WIDTH, Span, Tile, filled_tiles


class Waiting(NamedTuple):
    """A leaf that has no place yet."""

    account_id: UUID
    entry_id: UUID
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class Growth:
    """One account's tree before and after, and what lies between."""

    account_id: UUID
    before: Frontier
    after: Frontier
    leaves: list[Waiting]
    tiles: list[Tile]


def grown(
    account_id: UUID, before: Frontier, leaves: list[Waiting], edges: Mapping[Span, list[bytes]]
) -> Growth:
    """Append leaves in this order. ``edges`` are the hashes that ``edges_needed`` asked for."""
    added = [leaf.leaf_hash for leaf in leaves]
    return Growth(
        account_id=account_id,
        before=before,
        after=before.extended(added),
        leaves=leaves,
        tiles=_tiles(before.size, added, edges),
    )


def edges_needed(size: int, added: int) -> list[Span]:
    """Return the hashes, in no full tile yet, that new tiles take in when leaves are added."""
    spans: list[Span] = []
    for level in count():
        start, end = size >> HEIGHT * level, size + added >> HEIGHT * level
        if start // WIDTH == end // WIDTH:
            return spans
        if start % WIDTH:
            spans.append(Span(level=level, start=start - start % WIDTH, end=start))
    raise AssertionError("the levels of a tree end")


def _tiles(size: int, added: list[bytes], edges: Mapping[Span, list[bytes]]) -> list[Tile]:
    tiles: list[Tile] = []
    for level in count():
        start = size >> HEIGHT * level
        if start // WIDTH == (start + len(added)) // WIDTH:
            return tiles
        edge = edges.get(Span(level=level, start=start - start % WIDTH, end=start), [])
        filled = filled_tiles(level, start, edge, added)
        tiles += filled
        added = [tile.root for tile in filled]
    raise AssertionError("the levels of a tree end")
