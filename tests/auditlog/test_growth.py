from hypothesis import given
from hypothesis import strategies as st

from auditlog import merkle
from auditlog.growth import Waiting, edges_needed, grown
from auditlog.merkle import Frontier
from auditlog.tiles import WIDTH, Span, Tile
from queensmtp.ids import new_id

ACCOUNT = new_id()
LEAVES = [Waiting(ACCOUNT, new_id(), merkle.leaf_hash(b"%d" % number)) for number in range(1300)]
HASHES = [leaf.leaf_hash for leaf in LEAVES]

steps = st.lists(st.sampled_from([1, 2, 254, 255, 256, 257, 300, 600]), max_size=5).filter(
    lambda sizes: sum(sizes) <= len(LEAVES)
)


def grow(sizes: list[int]) -> tuple[Frontier, list[Tile]]:
    tree, tiles = Frontier(), list[Tile]()
    for size in sizes:
        start = tree.size
        edges = {span: HASHES[span.start : span.end] for span in edges_needed(start, size)}
        growth = grown(ACCOUNT, tree, LEAVES[start : start + size], edges)
        tree, tiles = growth.after, tiles + growth.tiles
    return tree, tiles


@given(steps)
def test_growing_in_steps_is_growing_at_once(sizes: list[int]) -> None:
    tree, tiles = grow(sizes)
    assert tree == Frontier().extended(HASHES[: sum(sizes)])
    assert tiles == grow([sum(sizes)])[1]
    assert len(tiles) == sum(sizes) // WIDTH


def test_the_edges_of_every_level_that_fills_are_asked_for() -> None:
    assert edges_needed(0, 255) == []
    assert edges_needed(255, 1) == [Span(level=0, start=0, end=255)]
    assert edges_needed(257, 300) == [Span(level=0, start=256, end=257)]
    assert edges_needed(65_535, 1) == [
        Span(level=0, start=65_280, end=65_535),
        Span(level=1, start=0, end=255),
    ]
    assert edges_needed(65_536, 65_536) == []
