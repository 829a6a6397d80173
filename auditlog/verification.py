"""Checks what is stored of one account's log against itself and against what we signed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID

from django.utils import timezone

from auditlog import actions, checkpoints, entries, filters, log_keys, merkle, retention
from auditlog.audit import Event
from auditlog.checkpoints import BadCheckpoint
from auditlog.cosignatures import WitnessKey
from auditlog.merkle import Frontier
from auditlog.models import (
    Checkpoint,
    Cosignature,
    Entry,
    Erasure,
    Head,
    Leaf,
    Pending,
    Retention,
    Tile,
)
from auditlog.retained import commitment, unpacked
from auditlog.tiles import WIDTH, packed_tile
from auditlog.tiles import Tile as PackedTile
from queensmtp.ids import find_id, timestamp_of

BATCH = 1_000
EMPTIED = "it was emptied, and no erasure tells of it"
# No plan keeps entries for less.
SHORTEST_RETENTION = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it was: where, and how it shows."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass
class _Walk:
    """What is known of the tree after the leaves seen so far."""

    account_id: UUID
    published: dict[int, Checkpoint]
    # Entries with older ids may be gone.
    kept_since: datetime
    frontier: Frontier = field(default_factory=Frontier)
    # Hashes of each level that no full tile holds yet.
    edges: dict[int, list[bytes]] = field(default_factory=dict)
    tile_counts: dict[int, int] = field(default_factory=dict)
    # The places of entries without personal fields, and the entries that tell why.
    erased: dict[int, UUID] = field(default_factory=dict)
    erasures: list[Entry] = field(default_factory=list)


def verify(account_id: UUID) -> list[Finding]:
    """Return everything that is wrong with an account's log; an empty list is a clean bill.

    Runs as the account (`tenancy.tenant`). It reads the whole log, a batch at a time.
    """
    return list(_findings(account_id))


def _findings(account_id: UUID) -> Iterator[Finding]:
    published = {each.size: each for each in Checkpoint.objects.filter(account_id=account_id)}
    walk = _Walk(account_id, published, kept_since=_kept_since(account_id))
    for leaves in _batches(account_id):
        yield from _check_contents(walk, leaves)
        yield from _check_tree(walk, leaves)
    yield from _check_tile_counts(walk)
    yield from _check_head(walk)
    yield from _check_published(walk)
    yield from _check_cosignatures(walk)
    yield from _check_unsealed(walk)
    yield from _check_erased(walk)


def _batches(account_id: UUID) -> Iterator[list[Leaf]]:
    leaves = Leaf.objects.filter(account_id=account_id).order_by("leaf_index").iterator(BATCH)
    while batch := list(islice(leaves, BATCH)):
        yield batch


def count_erased(account_id: UUID) -> int:
    """Return how many entries have lost their personal fields, as the log says they should."""
    return Entry.objects.of_account(account_id).filter(salt=None).count()


def _kept_since(account_id: UUID) -> datetime:
    """Return from when on no entry may be gone: what was pruned so far, and not what may be."""
    found = Retention.objects.filter(account_id=account_id).first()
    if found is None:
        # Nothing says how far it was pruned. The database takes nothing that is younger.
        return timezone.now() - timedelta(days=retention.DEFAULT_DAYS) + filters.CLOCK_SLACK
    if found.pruned_before is None:
        return datetime.min.replace(tzinfo=UTC)
    # Whoever moves that moment forward gains no more than this.
    latest = timezone.now() - SHORTEST_RETENTION
    # An id may be made a moment after the time that its entry states.
    return min(found.pruned_before, latest) + filters.CLOCK_SLACK


def _check_contents(walk: _Walk, leaves: list[Leaf]) -> Iterator[Finding]:
    """Compare entries with their leaves. Past its retention an entry is gone, its leaf stays."""
    ids = [leaf.entry_id for leaf in leaves]
    stored = Entry.objects.of_account(walk.account_id).in_bulk(ids)
    for leaf in leaves:
        entry = stored.get(leaf.entry_id)
        if entry is not None:
            findings = list(_check_entry(entry, bytes(leaf.hash)))
            yield from findings
            if entry.is_erased:
                walk.erased[leaf.leaf_index] = entry.id
            elif not findings and entry.event == Event.PERSONAL_DATA_ERASED:
                walk.erasures.append(entry)
        elif timestamp_of(leaf.entry_id) >= walk.kept_since:
            yield Finding(f"entry {leaf.entry_id}", "it is gone before its time")


def _check_entry(entry: Entry, leaf_hash: bytes) -> Iterator[Finding]:
    place = f"entry {entry.id}"
    if merkle.leaf_hash(entry.leaf_data()) != leaf_hash:
        yield Finding(place, "it does not hash to its leaf")
    if entry.is_erased:
        if entries.has_personal_data(entry):
            yield Finding(place, "it has no salt, but personal fields that nothing vouches for")
    elif entry.committed_hash() != bytes(entry.private_hash):
        yield Finding(place, "its personal fields are not those that were committed to")
    if entry.ordinary_read != entries.is_ordinary_read(entry.event, entry.outcome):
        yield Finding(place, "it is filed under the wrong kind of read")


def _check_erased(walk: _Walk) -> Iterator[Finding]:
    """Compare what was emptied with what the log says was erased, leaf by leaf.

    An erasure's entry outlives what it erased, which is older. Those from before they named their
    leaves vouch for as many as they counted.
    """
    ids = [id for entry in walk.erasures if (id := find_id(entry.target_id))]
    rows = Erasure.objects.filter(account_id=walk.account_id).in_bulk(ids)
    leaves = {str(id): bytes(row.leaves) for id, row in rows.items()}
    counted = 0
    for entry in walk.erasures:
        named = leaves.get(entry.target_id, b"")
        if "leaves_sha256" not in entry.changes:
            counted += int(entry.changes.get("entries") or 0)
        elif entry.changes["leaves_sha256"] == commitment(named):
            for leaf_index in unpacked(named):
                walk.erased.pop(leaf_index, None)
    if len(walk.erased) > counted:
        for entry_id in walk.erased.values():
            yield Finding(f"entry {entry_id}", EMPTIED)


def _check_tree(walk: _Walk, leaves: Iterable[Leaf]) -> Iterator[Finding]:
    for leaf in leaves:
        if leaf.leaf_index != walk.frontier.size:
            yield Finding(f"leaf {leaf.leaf_index}", f"leaf {walk.frontier.size} should stand here")
        walk.frontier = walk.frontier.extended([bytes(leaf.hash)])
        yield from _check_tiles(walk, 0, bytes(leaf.hash))
        yield from _check_root(walk)


def _check_tiles(walk: _Walk, level: int, added: bytes) -> Iterator[Finding]:
    edge = walk.edges.setdefault(level, [])
    edge.append(added)
    if len(edge) < WIDTH:
        return
    number = walk.tile_counts.get(level, 0)
    tile = packed_tile(level, number, edge)
    walk.edges[level], walk.tile_counts[level] = [], number + 1
    yield from _check_tile(walk.account_id, tile)
    yield from _check_tiles(walk, level + 1, tile.root)


def _check_tile(account_id: UUID, tile: PackedTile) -> Iterator[Finding]:
    place = f"tile {tile.level}/{tile.number}"
    stored = Tile.objects.filter(
        account_id=account_id, level=tile.level, number=tile.number
    ).first()
    if stored is None:
        yield Finding(place, "it is missing")
    elif (bytes(stored.hashes), bytes(stored.root)) != (tile.hashes, tile.root):
        yield Finding(place, "it does not hold the hashes below it")


def _check_root(walk: _Walk) -> Iterator[Finding]:
    published = walk.published.get(walk.frontier.size)
    if published and bytes(published.root) != walk.frontier.root:
        yield Finding(
            f"checkpoint {published.size}", "the leaves up to here have another root than it"
        )


def _check_tile_counts(walk: _Walk) -> Iterator[Finding]:
    stored = Tile.objects.filter(account_id=walk.account_id).values_list("level", "number")
    for level, number in stored:
        if number >= walk.tile_counts.get(level, 0):
            yield Finding(f"tile {level}/{number}", "no leaves stand under it")


def _check_head(walk: _Walk) -> Iterator[Finding]:
    head = Head.objects.filter(account_id=walk.account_id).first()
    if head is None:
        if walk.frontier.size:
            yield Finding("head", "it is missing")
        return
    if head.size != walk.frontier.size:
        yield Finding("head", f"it counts {head.size} leaves, there are {walk.frontier.size}")
    if (bytes(head.root), bytes(head.frontier)) != (walk.frontier.root, walk.frontier.packed()):
        yield Finding("head", "the leaves have another root")
    yield from _check_note("head", head)


def _check_published(walk: _Walk) -> Iterator[Finding]:
    for checkpoint in walk.published.values():
        place = f"checkpoint {checkpoint.size}"
        if checkpoint.size > walk.frontier.size:
            yield Finding(place, f"only {walk.frontier.size} leaves are left")
        yield from _check_note(place, checkpoint)


def _check_cosignatures(walk: _Walk) -> Iterator[Finding]:
    """Check what the witness of today signed; the key of a former one is not kept here."""
    witness = log_keys.find_witness()
    if witness is None:
        return
    for each in Cosignature.objects.filter(account_id=walk.account_id, witness=witness.name):
        published = walk.published.get(each.size)
        # The heads that were shown at a start were cosigned without being published.
        if published is not None and not _is_cosigned(witness, published, each):
            place = f"cosignature {each.size}"
            yield Finding(place, f"{witness.name} has not signed the checkpoint so")


def _is_cosigned(witness: WitnessKey, published: Checkpoint, each: Cosignature) -> bool:
    try:
        return witness.find_line(published.note, f"{each.line}\n") is not None
    except BadCheckpoint:
        return False


def _check_note(place: str, stated: Head | Checkpoint) -> Iterator[Finding]:
    try:
        signed = checkpoints.verify(
            stated.note,
            origin=actions.origin(stated.account_id),
            public_keys=log_keys.public_keys(),
        )
    except BadCheckpoint as error:
        yield Finding(place, str(error))
        return
    if (signed.size, signed.root) != (stated.size, bytes(stated.root)):
        yield Finding(place, "its note states another size or root")


def _check_unsealed(walk: _Walk) -> Iterator[Finding]:
    account_id = walk.account_id
    waiting = Pending.objects.filter(account_id=account_id).in_bulk()
    stored = Entry.objects.of_account(account_id).in_bulk(list(waiting))
    for entry_id, pending in waiting.items():
        if entry_id not in stored:
            yield Finding(f"entry {entry_id}", "a leaf waits for it, but it is not there")
        else:
            entry = stored[entry_id]
            yield from _check_entry(entry, bytes(pending.leaf_hash))
            if entry.is_erased:
                # No erasure touches what is not sealed.
                yield Finding(f"entry {entry_id}", EMPTIED)
            elif entry.event == Event.PERSONAL_DATA_ERASED:
                walk.erasures.append(entry)
    yield from _check_forgotten(account_id)


def _check_forgotten(account_id: UUID) -> Iterator[Finding]:
    for entry in Entry.objects.of_account(account_id).without_leaf().iterator(BATCH):
        yield Finding(f"entry {entry.id}", "it has no leaf, and none waits for it")
