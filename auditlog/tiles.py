"""How the tree is kept: packed tiles of 256 hashes, written once, when they are full.

A tile at level 0 holds 256 leaf hashes, a tile at level n + 1 holds the roots of 256 full tiles of
level n. So every node of the tree lies inside one row of 256 hashes, and the tree's right edge,
which no full tile covers yet, is read from the leaves and from the roots of the tiles below.
"""

from typing import NamedTuple

from auditlog.merkle import Node, perfect_root, split

HEIGHT = 8
WIDTH = 1 << HEIGHT


class Tile(NamedTuple):
    """256 full neighbours of one level, and the root over them."""

    level: int
    number: int
    hashes: bytes
    root: bytes


class Span(NamedTuple):
    """Neighbours inside one tile, ``start <= position < end`` counted along the whole level."""

    level: int
    start: int
    end: int

    @property
    def number(self) -> int:
        return self.start // WIDTH

    def is_in_full_tile(self, size: int) -> bool:
        return self.number < size >> HEIGHT * (self.level + 1)

    def cut(self, packed: bytes) -> list[bytes]:
        """Return this span's hashes out of its packed tile."""
        first = self.number * WIDTH
        return split(packed)[self.start - first : self.end - first]


def span_of(node: Node) -> Span:
    """Return the hashes whose root is the node."""
    level, height = divmod(node.height, HEIGHT)
    return Span(level=level, start=node.place << height, end=node.place + 1 << height)


def packed_tile(level: int, number: int, hashes: list[bytes]) -> Tile:
    if len(hashes) != WIDTH:
        raise ValueError("only a full tile is kept")
    return Tile(level=level, number=number, hashes=b"".join(hashes), root=perfect_root(hashes))


def filled_tiles(level: int, start: int, edge: list[bytes], added: list[bytes]) -> list[Tile]:
    """Return the tiles of a level that become full.

    ``start`` is the position of the first added hash, ``edge`` holds those before it that are in no
    full tile yet.
    """
    if len(edge) != start % WIDTH:
        raise ValueError(f"level {level} has {start % WIDTH} hashes in no tile, not {len(edge)}")
    hashes, first = edge + added, start // WIDTH
    return [
        packed_tile(level, first + at, hashes[at * WIDTH : (at + 1) * WIDTH])
        for at in range(len(hashes) // WIDTH)
    ]
