"""The Merkle tree of RFC 6962, for those who verify: hashes, growth, and proofs (RFC 9162 2.1)."""

from collections.abc import Sequence
from hashlib import sha256

HASH_SIZE = 32
# A tree of 2^63 leaves has no longer proof.
LONGEST_PROOF = 63
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


class Growing:
    """A tree to which leaves are added one by one; it keeps its right edge only."""

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def add(self, leaf: bytes) -> None:
        self._edge.append(leaf)
        self.size += 1
        # Two full neighbours become one for each trailing zero of the new size.
        for _ in range((self.size & -self.size).bit_length() - 1):
            right = self._edge.pop()
            self._edge.append(node_hash(self._edge.pop(), right))

    @property
    def root(self) -> bytes:
        if not self._edge:
            return EMPTY_ROOT
        *rest, root = self._edge
        for left in reversed(rest):
            root = node_hash(left, root)
        return root


def root_of_inclusion(
    leaf: bytes, *, index: int, size: int, proof: Sequence[bytes]
) -> bytes | None:
    """Return the root that an inclusion proof leads to, or None when its length is wrong."""
    if not 0 <= index < size or not _are_hashes([leaf, *proof]):
        return None
    # The proof has a left or right sibling for each level below the point where the paths of the
    # leaf and of the tree's last leaf meet, and left siblings only above it.
    inner = (index ^ (size - 1)).bit_length()
    if len(proof) != inner + (index >> inner).bit_count():
        return None
    computed = leaf
    for level, sibling in enumerate(proof):
        from_right = level < inner and not index >> level & 1
        computed = node_hash(computed, sibling) if from_right else node_hash(sibling, computed)
    return computed


def is_consistent(
    *, first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Say whether the second tree begins with every leaf of the first, in the same order."""
    if not 0 < first <= second or not _are_hashes([first_root, second_root, *proof]):
        return False
    if first == second:
        return not proof and first_root == second_root
    # `start` is the height of the largest perfect subtree at the right edge of the first tree.
    start = (first & -first).bit_length() - 1
    inner = ((first - 1) ^ (second - 1)).bit_length() - start
    position = (first - 1) >> start
    path = list(proof) if position else [first_root, *proof]
    if len(path) != 1 + inner + (position >> inner).bit_count():
        return False
    old = new = path[0]
    for level, sibling in enumerate(path[1:]):
        if level < inner and not position >> level & 1:
            new = node_hash(new, sibling)
        else:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
    return old == first_root and new == second_root


def _are_hashes(values: Sequence[bytes]) -> bool:
    return all(len(value) == HASH_SIZE for value in values)
