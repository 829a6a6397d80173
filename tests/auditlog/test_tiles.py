import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditlog import merkle
from auditlog.tiles import WIDTH, Span, filled_tiles, packed_tile, span_of

LEAVES = [merkle.leaf_hash(b"leaf %d" % number) for number in range(1100)]


@given(st.integers(0, 30), st.integers(0, 2**20))
def test_every_node_lies_inside_one_tile(height: int, place: int) -> None:
    span = span_of(merkle.Node(height=height, place=place))
    assert span.start // WIDTH == (span.end - 1) // WIDTH
    assert span.start << 8 * span.level == place << height
    assert span.end << 8 * span.level == (place + 1) << height


def test_the_hashes_of_a_span_fold_into_its_node() -> None:
    tile = packed_tile(0, 1, LEAVES[WIDTH : 2 * WIDTH])
    span = span_of(merkle.Node(height=3, place=40))
    assert span == Span(level=0, start=320, end=328)
    assert span.cut(tile.hashes) == LEAVES[320:328]


@pytest.mark.parametrize(
    ("level", "start", "size", "full"),
    [(0, 255, 255, False), (0, 255, 256, True), (0, 256, 511, False), (1, 0, 65535, False),
     (1, 0, 65536, True)],
)  # fmt: skip
def test_a_tile_is_kept_once_it_is_full(level: int, start: int, size: int, full: bool) -> None:
    assert Span(level=level, start=start, end=start + 1).is_in_full_tile(size) is full


@given(st.lists(st.integers(0, 600), max_size=6).filter(lambda steps: sum(steps) <= 1100))
def test_tiles_filled_in_steps_are_the_tiles_filled_at_once(steps: list[int]) -> None:
    tiles, size = [], 0
    for step in steps:
        edge = LEAVES[size - size % WIDTH : size]
        tiles += filled_tiles(0, size, edge, LEAVES[size : size + step])
        size += step
    assert tiles == filled_tiles(0, 0, [], LEAVES[:size])
    assert [tile.number for tile in tiles] == list(range(size // WIDTH))


def test_a_tile_has_the_root_of_its_hashes() -> None:
    (tile,) = filled_tiles(0, 0, [], LEAVES[:WIDTH])
    assert tile.root == merkle.Frontier().extended(LEAVES[:WIDTH]).root
    assert len(tile.hashes) == 8192


def test_a_wrong_edge_and_a_part_of_a_tile_are_refused() -> None:
    with pytest.raises(ValueError, match="in no tile"):
        filled_tiles(0, 3, LEAVES[:2], LEAVES[3:9])
    with pytest.raises(ValueError, match="full tile"):
        packed_tile(0, 0, LEAVES[:255])
