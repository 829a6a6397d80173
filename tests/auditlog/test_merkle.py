"""The tree against two oracles: RFC 6962's own recursive definition, and pymerkle."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from auditlog import merkle
from auditlog.merkle import EMPTY_ROOT, Frontier, LeafRange, Node

SIZES = range(70)
LEAVES = [merkle.leaf_hash(b"leaf %d" % number) for number in range(600)]


def mth(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split_point(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split_point(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m: int, leaves: list[bytes], *, whole: bool) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split_point(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], whole=whole), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], whole=False), mth(leaves[:k])]


def split_point(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def node_value(node: Node) -> bytes:
    return mth(LEAVES[node.place << node.height : (node.place + 1) << node.height])


def hashes(ranges: list[LeafRange]) -> list[bytes]:
    return [merkle.fold([node_value(node) for node in merkle.nodes(each)]) for each in ranges]


@pytest.fixture(scope="module")
def foreign() -> InmemoryTree:
    tree = InmemoryTree(algorithm="sha256")
    for number in SIZES:
        tree.append_entry(b"leaf %d" % number)
    return tree


def test_the_known_vectors_of_certificate_transparency() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    empty_leaf = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.leaf_hash(b"").hex() == empty_leaf


@pytest.mark.parametrize("size", SIZES)
def test_a_frontier_has_the_root_of_the_definition_and_of_pymerkle(
    size: int, foreign: InmemoryTree
) -> None:
    frontier = Frontier().extended(LEAVES[:size])
    assert frontier.root == mth(LEAVES[:size])
    assert frontier.root == foreign.get_root(size)


@given(st.lists(st.integers(0, 40), max_size=8))
def test_growing_in_steps_is_growing_at_once(steps: list[int]) -> None:
    frontier = Frontier()
    for step in steps:
        frontier = frontier.extended(LEAVES[frontier.size : frontier.size + step])
        frontier = Frontier.unpacked(frontier.size, frontier.packed())
    assert frontier == Frontier().extended(LEAVES[: sum(steps)])


def test_a_frontier_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="another number"):
        Frontier.unpacked(3, LEAVES[0])
    with pytest.raises(ValueError, match="multiple"):
        Frontier.unpacked(1, LEAVES[0][:-1])


@pytest.mark.parametrize("size", SIZES[1:])
def test_inclusion_proofs_are_those_of_the_definition_and_of_pymerkle(
    size: int, foreign: InmemoryTree
) -> None:
    root = mth(LEAVES[:size])
    for index in range(size):
        proof = hashes(merkle.inclusion_ranges(index, size))
        assert proof == path(index, LEAVES[:size])
        assert [LEAVES[index], *proof] == foreign.prove_inclusion(index + 1, size).path
        assert merkle.verify_inclusion(
            leaf=LEAVES[index], index=index, size=size, proof=proof, root=root
        )


@pytest.mark.parametrize("second", SIZES[1:])
def test_consistency_proofs_are_those_of_the_definition(second: int) -> None:
    for first in range(1, second + 1):
        proof = hashes(merkle.consistency_ranges(first, second))
        assert proof == subproof(first, LEAVES[:second], whole=True)
        assert consistent(first, second, proof)


@pytest.mark.parametrize("second", SIZES[1:])
def test_pymerkle_finds_our_roots_consistent(second: int, foreign: InmemoryTree) -> None:
    for first in range(1, second + 1):
        old, new = (Frontier().extended(LEAVES[:size]).root for size in (first, second))
        foreign.prove_consistency(first, second).verify(old, new)


def consistent(first: int, second: int, proof: list[bytes]) -> bool:
    return merkle.verify_consistency(
        first=first,
        second=second,
        first_root=mth(LEAVES[:first]),
        second_root=mth(LEAVES[:second]),
        proof=proof,
    )


def test_every_tree_is_consistent_with_the_empty_one_without_a_proof() -> None:
    assert merkle.consistency_ranges(0, 9) == []
    assert consistent(0, 9, [])
    assert not consistent(0, 9, [LEAVES[0]])


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5)])
def test_a_leaf_outside_the_tree_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="is not in a tree"):
        merkle.inclusion_ranges(index, size)
    assert not merkle.verify_inclusion(
        leaf=LEAVES[0], index=index, size=size, proof=[], root=LEAVES[0]
    )


def test_a_tree_never_shrinks() -> None:
    with pytest.raises(ValueError, match="never had"):
        merkle.consistency_ranges(6, 5)
    assert not consistent(6, 5, [])


def test_a_proof_that_stops_below_the_root_is_refused() -> None:
    """The root of one leaf is that leaf: it must not pass for the root of two."""
    leaf = LEAVES[0]
    assert not merkle.verify_inclusion(leaf=leaf, index=0, size=2, proof=[], root=leaf)


proven_leaf = st.integers(1, 300).flatmap(
    lambda size: st.tuples(st.integers(0, size - 1), st.just(size))
)


@given(proven_leaf, st.data())
def test_one_flipped_bit_breaks_an_inclusion_proof(
    place: tuple[int, int], data: st.DataObject
) -> None:
    index, size = place
    proof = path(index, LEAVES[:size])
    parts = [LEAVES[index], mth(LEAVES[:size]), *proof]
    leaf, root, *changed = flipped(parts, data)
    assert not merkle.verify_inclusion(leaf=leaf, index=index, size=size, proof=changed, root=root)


@given(proven_leaf, st.data())
def test_an_inclusion_proof_holds_for_no_other_place(
    place: tuple[int, int], data: st.DataObject
) -> None:
    index, size = place
    other = data.draw(st.integers(0, size).filter(lambda number: number != index))
    assert not merkle.verify_inclusion(
        leaf=LEAVES[index],
        index=other,
        size=size,
        proof=path(index, LEAVES[:size]),
        root=mth(LEAVES[:size]),
    )


two_trees = st.integers(2, 300).flatmap(
    lambda second: st.tuples(st.integers(1, second - 1), st.just(second))
)


@given(two_trees, st.data())
def test_one_flipped_bit_breaks_a_consistency_proof(
    sizes: tuple[int, int], data: st.DataObject
) -> None:
    first, second = sizes
    proof = subproof(first, LEAVES[:second], whole=True)
    old, new, *changed = flipped([mth(LEAVES[:first]), mth(LEAVES[:second]), *proof], data)
    assert not merkle.verify_consistency(
        first=first, second=second, first_root=old, second_root=new, proof=changed
    )


@given(two_trees, st.data())
def test_a_rewritten_past_is_not_consistent(sizes: tuple[int, int], data: st.DataObject) -> None:
    first, second = sizes
    changed_at = data.draw(st.integers(0, first - 1))
    rewritten = [*LEAVES[:changed_at], LEAVES[-1], *LEAVES[changed_at + 1 : second]]
    assert not merkle.verify_consistency(
        first=first,
        second=second,
        first_root=mth(LEAVES[:first]),
        second_root=mth(rewritten),
        proof=subproof(first, rewritten, whole=True),
    )


@pytest.mark.parametrize("extra", [b"", LEAVES[0][:-1], LEAVES[0]])
def test_a_proof_with_something_added_is_refused(extra: bytes) -> None:
    proof = path(3, LEAVES[:7])
    assert not merkle.verify_inclusion(
        leaf=LEAVES[3], index=3, size=7, proof=[*proof, extra], root=mth(LEAVES[:7])
    )
    assert not consistent(3, 7, [*subproof(3, LEAVES[:7], whole=True), extra])
    assert not consistent(3, 7, subproof(3, LEAVES[:7], whole=True)[:-1])


def flipped(parts: list[bytes], data: st.DataObject) -> list[bytes]:
    at = data.draw(st.integers(0, len(parts) - 1))
    bit = data.draw(st.integers(0, 255))
    changed = bytearray(parts[at])
    changed[bit // 8] ^= 1 << bit % 8
    return [*parts[:at], bytes(changed), *parts[at + 1 :]]
