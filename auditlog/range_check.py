"""Verifies a handful of entries as they stand, against the newest signed head."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from auditlog import actions, checkpoints, log_keys, merkle, paths, proofs
from auditlog.checkpoints import BadCheckpoint
from auditlog.models import Entry, Head
from auditlog.paths import Paths
from queensmtp.errors import NotFound


@dataclass(frozen=True)
class Verdict:
    """What was found: how many entries are as they were sealed, and which are not."""

    size: int
    root_hash: str
    signed_at: datetime
    is_signed: bool
    checked_count: int
    unsealed_count: int
    wrong: list[UUID]

    @property
    def is_good(self) -> bool:
        return self.is_signed and not self.wrong


def check(
    account_id: UUID, entries: Iterable[Entry], indexes: Mapping[UUID, int]
) -> Verdict | None:
    """Check entries against the head; None while nothing of the account is sealed."""
    try:
        head = proofs.latest_checkpoint(account_id)
    except NotFound:
        return None
    entries = list(entries)
    sealed = [one for one in entries if indexes.get(one.id, head.size) < head.size]
    found = paths.of_leaves(account_id, [indexes[one.id] for one in sealed], size=head.size)
    return Verdict(
        size=head.size,
        root_hash=proofs.encoded(head.root),
        signed_at=head.updated_at,
        is_signed=is_signed(account_id, head),
        checked_count=len(sealed),
        unsealed_count=len(entries) - len(sealed),
        wrong=[one.id for one in sealed if not _is_sound(one, indexes[one.id], found, head)],
    )


def _is_sound(entry: Entry, leaf_index: int, found: Paths, head: Head) -> bool:
    commits = entry.is_erased or entry.committed_hash() == bytes(entry.private_hash)
    # The leaf is hashed again from the row, not read from the tree.
    return commits and merkle.verify_inclusion(
        leaf=merkle.leaf_hash(entry.leaf_data()),
        index=leaf_index,
        size=head.size,
        proof=found[leaf_index],
        root=bytes(head.root),
    )


def is_signed(account_id: UUID, head: Head) -> bool:
    """Whether the head's note is ours and states what the head says."""
    try:
        signed = checkpoints.verify(
            head.note, origin=actions.origin(account_id), public_keys=log_keys.public_keys()
        )
    except BadCheckpoint:
        return False
    return (signed.size, signed.root) == (head.size, bytes(head.root))
