"""The Merkle tree of RFC 6962 section 2.1: hashes, growth, proofs and their verification.

Nothing here reads a store. A proof is first a list of *ranges* of leaves, each range a list of
*nodes* (perfect subtrees); whoever holds the nodes folds them into the hashes of the proof.
Verification follows RFC 9162 2.1.3.2 and 2.1.4.2, and shares no code with proving.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from typing import NamedTuple, Self

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()


class Node(NamedTuple):
    """A perfect subtree: the leaves from ``place << height`` up to ``(place + 1) << height``."""

    height: int
    place: int


class LeafRange(NamedTuple):
    """The leaves ``start <= index < end``; ``start`` is a multiple of every subtree inside."""

    start: int
    end: int


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Join the perfect subtrees of one range, given from left (largest) to right, into its hash."""
    if not hashes:
        return EMPTY_ROOT
    return reduce(lambda right, left: node_hash(left, right), reversed(hashes))


@dataclass(frozen=True)
class Frontier:
    """The right edge of a tree: its perfect subtrees from left to right. All that growth needs."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __post_init__(self) -> None:
        if len(self.hashes) != self.size.bit_count():
            raise ValueError(f"a tree of {self.size} leaves has another number of subtrees")

    @property
    def root(self) -> bytes:
        return fold(self.hashes)

    def extended(self, leaves: Iterable[bytes]) -> Self:
        """Return the frontier after these leaf hashes were appended in this order."""
        size, hashes = self.size, list(self.hashes)
        for leaf in leaves:
            hashes.append(leaf)
            merges = size
            while merges & 1:
                right = hashes.pop()
                hashes.append(node_hash(hashes.pop(), right))
                merges >>= 1
            size += 1
        return type(self)(size=size, hashes=tuple(hashes))

    def packed(self) -> bytes:
        return b"".join(self.hashes)

    @classmethod
    def unpacked(cls, size: int, data: bytes) -> Self:
        return cls(size=size, hashes=tuple(split(data)))


def split(data: bytes) -> list[bytes]:
    """Cut packed hashes apart."""
    if len(data) % HASH_SIZE:
        raise ValueError("packed hashes are a multiple of 32 bytes")
    return [data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)]


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over hashes whose number is a power of two."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[at], level[at + 1]) for at in range(0, len(level), 2)]
    return level[0]


def nodes(leaves: LeafRange) -> list[Node]:
    """Return the perfect subtrees that make up a range, from left (largest) to right."""
    found, start, width = [], leaves.start, leaves.end - leaves.start
    while width:
        height = width.bit_length() - 1
        found.append(Node(height=height, place=start >> height))
        start += 1 << height
        width -= 1 << height
    return found


def inclusion_ranges(index: int, size: int) -> list[LeafRange]:
    """Return what PATH(index, D[size]) of RFC 6962 2.1.1 hashes, from the leaf upwards."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    siblings, start, end = [], 0, size
    while end - start > 1:
        middle = start + _left_width(end - start)
        if index < middle:
            siblings.append(LeafRange(middle, end))
            end = middle
        else:
            siblings.append(LeafRange(start, middle))
            start = middle
    return siblings[::-1]


def consistency_ranges(first: int, second: int) -> list[LeafRange]:
    """Return what PROOF(first, D[second]) of RFC 6962 2.1.2 hashes, in its order."""
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {second} leaves never had {first}")
    if first in (0, second):
        return []
    siblings, start, end = [], 0, second
    while first != end:
        middle = start + _left_width(end - start)
        if first <= middle:
            siblings.append(LeafRange(middle, end))
            end = middle
        else:
            siblings.append(LeafRange(start, middle))
            start = middle
    # The old tree itself is known to the verifier when it is one perfect subtree from the left.
    own = [LeafRange(start, end)] if start else []
    return own + siblings[::-1]


def _left_width(width: int) -> int:
    """Return the largest power of two below the width."""
    return 1 << (width - 1).bit_length() - 1


def verify_inclusion(
    *, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> bool:
    """Say whether the leaf hash stands at the index of the tree with this size and root."""
    if not 0 <= index < size or not _are_hashes(leaf, root, *proof):
        return False
    position, last, computed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            computed = node_hash(sibling, computed)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            computed = node_hash(computed, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and computed == root


def verify_consistency(
    *, first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Say whether the second tree begins with every leaf of the first, in the same order."""
    if not 0 <= first <= second or not _are_hashes(first_root, second_root, *proof):
        return False
    if first == 0:
        return not proof and first_root == EMPTY_ROOT
    if first == second:
        return not proof and first_root == second_root
    return _climb_both(first, second, list(proof), first_root, second_root)


def _climb_both(
    first: int, second: int, proof: list[bytes], first_root: bytes, second_root: bytes
) -> bool:
    path = [first_root, *proof] if first.bit_count() == 1 else proof
    if not path:
        return False
    position, last = first - 1, second - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and old == first_root and new == second_root


def _are_hashes(*values: bytes) -> bool:
    return all(len(value) == HASH_SIZE for value in values)
