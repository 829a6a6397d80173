"""The verifier's own tree, beside the one that proves: they share no line."""

from hashlib import sha256

import pytest
from pymerkle import InmemoryTree
from queensmtp_verify import tree

from auditlog import merkle

LEAVES = [tree.leaf_hash(bytes([number])) for number in range(70)]


def root(size: int) -> bytes:
    return merkle.Frontier().extended(LEAVES[:size]).root


def hash_of(leaves: merkle.LeafRange) -> bytes:
    return merkle.Frontier().extended(LEAVES[leaves.start : leaves.end]).root


def test_a_growing_tree_has_the_root_that_pymerkle_computes() -> None:
    growing, theirs = tree.Growing(), InmemoryTree(algorithm="sha256")
    assert growing.root == sha256(b"").digest()
    for number in range(70):
        growing.add(LEAVES[number])
        theirs.append_entry(bytes([number]))
        assert growing.root == theirs.get_root(number + 1)


def test_every_inclusion_proof_leads_to_the_root_and_no_other_does() -> None:
    for size in range(1, 35):
        for index in range(size):
            proof = [hash_of(each) for each in merkle.inclusion_ranges(index, size)]
            assert tree.root_of_inclusion(
                LEAVES[index], index=index, size=size, proof=proof
            ) == root(size)
            for wrong in (index - 1, index + 1, size):
                found = tree.root_of_inclusion(LEAVES[index], index=wrong, size=size, proof=proof)
                assert found != root(size)
            for other in (proof[:-1], [*proof, bytes(32)]):
                if other != proof:
                    found = tree.root_of_inclusion(
                        LEAVES[index], index=index, size=size, proof=other
                    )
                    assert found is None


@pytest.mark.parametrize("second", range(1, 35))
def test_every_consistency_proof_holds_and_no_other_does(second: int) -> None:
    for first in range(1, second + 1):
        proof = [hash_of(each) for each in merkle.consistency_ranges(first, second)]

        def holds(
            old: bytes, new: bytes, given: list[bytes], first: int = first, second: int = second
        ) -> bool:
            return tree.is_consistent(
                first=first, second=second, first_root=old, second_root=new, proof=given
            )

        assert holds(root(first), root(second), proof)
        assert not holds(bytes(32), root(second), proof)
        assert not holds(root(first), bytes(32), proof)
        assert not holds(root(first), root(second), [*proof, bytes(32)])
        for at in range(len(proof)):
            assert not holds(root(first), root(second), [*proof[:at], *proof[at + 1 :]])
            assert not holds(root(first), root(second), [*proof[:at], bytes(32), *proof[at + 1 :]])
