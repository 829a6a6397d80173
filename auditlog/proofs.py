"""Proofs about an account's log, read from its stored tree. Sizes and indexes are checked here."""

from base64 import b64encode
from dataclasses import dataclass
from uuid import UUID

from auditlog import merkle, stored_tree
from auditlog.models import Checkpoint, Cosignature, Entry, Head, Leaf
from queensmtp.errors import NotFound, refuse_field


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That a leaf stands at its place in the tree of this size."""

    leaf_index: int
    size: int
    leaf_hash: bytes
    # None when the entry's contents are past their retention: the proof outlives them.
    leaf_data: bytes | None
    hashes: list[bytes]


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That the later tree begins with the whole earlier one."""

    first: int
    second: int
    hashes: list[bytes]


def latest_checkpoint(account_id: UUID) -> Head:
    """Return the head, with its note; NotFound until the account's first entry is sealed."""
    head = Head.objects.filter(account_id=account_id).first()
    if head is None:
        raise NotFound("Nothing of this account is sealed yet.")
    return head


def checkpoint_of(account_id: UUID, size: int) -> Head | Checkpoint:
    """Return the newest checkpoint, or a published one, that has this size."""
    head = latest_checkpoint(account_id)
    if head.size == size:
        return head
    published = Checkpoint.objects.filter(account_id=account_id, size=size).first()
    if published is None:
        raise NotFound("No published checkpoint has this size.")
    return published


def cosigned_note(checkpoint: Head | Checkpoint) -> str:
    """Return a checkpoint's note with the signatures of the witnesses that have seen it."""
    lines = Cosignature.objects.filter(
        account_id=checkpoint.account_id, size=checkpoint.size
    ).values_list("line", flat=True)
    return checkpoint.note + "".join(f"{line}\n" for line in sorted(lines))


def inclusion_proof(account_id: UUID, *, leaf: Leaf, size: int | None = None) -> InclusionProof:
    """Prove a leaf in the tree of a size; without one, in the newest."""
    size = _size(account_id, size, "size")
    if leaf.leaf_index >= size:
        raise refuse_field("size", "out_of_range", f"leaf {leaf.leaf_index} is not in it yet.")
    entry = Entry.objects.of_account(account_id).filter(id=leaf.entry_id).first()
    ranges = merkle.inclusion_ranges(leaf.leaf_index, size)
    return InclusionProof(
        leaf_index=leaf.leaf_index,
        size=size,
        leaf_hash=bytes(leaf.hash),
        leaf_data=entry.leaf_data() if entry else None,
        hashes=stored_tree.hashes_of(account_id, size, ranges),
    )


def consistency_proof(account_id: UUID, *, first: int, second: int) -> ConsistencyProof:
    """Prove that the log of ``second`` leaves begins with the log of ``first``."""
    second = _size(account_id, second, "to")
    if first > second:
        raise refuse_field("from", "out_of_range", f"give a size up to {second}.")
    ranges = merkle.consistency_ranges(first, second)
    return ConsistencyProof(
        first=first,
        second=second,
        hashes=stored_tree.hashes_of(account_id, second, ranges),
    )


def leaf_of_entry(account_id: UUID, entry_id: UUID) -> Leaf:
    leaf = Leaf.objects.filter(account_id=account_id, entry_id=entry_id).first()
    if leaf is None:
        raise NotFound("There is no such entry, or it is not sealed yet.")
    return leaf


def leaf_at(account_id: UUID, leaf_index: int) -> Leaf:
    leaf = Leaf.objects.filter(account_id=account_id, leaf_index=leaf_index).first()
    if leaf is None:
        raise NotFound("There is no such leaf.")
    return leaf


def encoded(value: bytes | memoryview) -> str:
    return b64encode(value).decode()


def _size(account_id: UUID, wanted: int | None, field: str) -> int:
    newest = latest_checkpoint(account_id).size
    if wanted is None:
        return newest
    if not 0 < wanted <= newest:
        raise refuse_field(field, "out_of_range", f"give a size from 1 to {newest}.")
    return wanted
