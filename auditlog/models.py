"""The log and its tree: written by actions only, and the database refuses what changes them."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, NoReturn
from uuid import UUID

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from auditlog import entries, words
from auditlog.exported import Export
from auditlog.filters import Filters, Named, id_bounds
from auditlog.merkle import Frontier
from auditlog.retained import Erasure, Retention, RetentionClock
from auditlog.saved import SavedView
from auditlog.streamed import Stream
from queensmtp.ids import new_id

# The log itself stands here; jobs about it have files of their own.
__all__ = [
    "Alarm",
    "Checkpoint",
    "Entry",
    "EntryQuerySet",
    "Erasure",
    "Export",
    "Head",
    "Indexed",
    "Leaf",
    "LeafQuerySet",
    "Pending",
    "Posting",
    "Retention",
    "RetentionClock",
    "SavedView",
    "Segment",
    "Stream",
    "Tile",
    "WrittenByActions",
]


class WrittenByActions(Exception):
    """Rows of the log are inserted by `auditlog.actions`, and never changed."""


class InsertOnly(models.Model):
    """A row that is written once, by an action's own statement."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise WrittenByActions(f"{type(self).__name__} is written by auditlog.actions")

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise WrittenByActions(f"{type(self).__name__} is never deleted")


class EntryQuerySet(models.QuerySet["Entry"]):
    def of_account(self, account_id: UUID) -> "EntryQuerySet":
        return self.filter(account_id=account_id)

    def matching(self, filters: Filters) -> "EntryQuerySet":
        """Narrow down to what the filters describe."""
        found = self.within(filters.since, filters.until).filter(*_conditions(filters))
        return found.without_ordinary_reads() if filters.hides_reads else found

    def within(self, since: datetime | None, until: datetime | None) -> "EntryQuerySet":
        """Narrow down to ``since <= created_at < until``; the id's bounds prune partitions."""
        low, high = id_bounds(since, until)
        found = self
        if since:
            found = found.filter(id__gte=low, created_at__gte=since)
        if until:
            found = found.filter(id__lt=high, created_at__lt=until)
        return found

    def without_ordinary_reads(self) -> "EntryQuerySet":
        return self.filter(ordinary_read=False)

    def without_leaf(self) -> "EntryQuerySet":
        """Narrow down to entries that are neither sealed nor waiting to be: there must be none."""
        places = {"account_id": OuterRef("account_id"), "entry_id": OuterRef("id")}
        sealed, waiting = Leaf.objects.filter(**places), Pending.objects.filter(**places)
        return self.filter(~Exists(sealed), ~Exists(waiting))


class Entry(InsertOnly):
    """What happened. Without a salt, its personal fields were erased.

    Partitioned by id. In the database the primary key is (account_id, id).
    """

    id = models.UUIDField(primary_key=True)
    account_id = models.UUIDField()
    created_at = models.DateTimeField()
    version = models.SmallIntegerField()
    # Collation C, so that `api_key.*` is the range from `api_key.` to `api_key/` on any server.
    event = models.TextField(db_collation="C")
    outcome = models.TextField()
    actor_type = models.TextField()
    actor_id = models.TextField()
    key_id = models.UUIDField(null=True)
    request_id = models.TextField()
    target_type = models.TextField()
    target_id = models.TextField()
    labels = models.JSONField()
    count = models.IntegerField()
    private_hash = models.BinaryField()
    salt = models.BinaryField(null=True)
    actor_label = models.TextField()
    target_label = models.TextField()
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.TextField()
    client_request_id = models.TextField()
    changes = models.JSONField()
    # Search only: it follows from event and outcome, and is no part of the leaf.
    ordinary_read = models.BooleanField()

    objects = EntryQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["account_id", "key_id", "id"], name="auditlog_entry_by_key"),
            models.Index(
                fields=["account_id", "id"],
                condition=Q(ordinary_read=False),
                name="auditlog_entry_no_reads",
            ),
            models.Index(
                fields=["account_id", "target_id", "id"],
                condition=~Q(target_id=""),
                name="auditlog_entry_by_target",
            ),
            models.Index(fields=["account_id", "request_id"], name="auditlog_entry_by_request"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.id}"

    @property
    def is_erased(self) -> bool:
        return self.salt is None

    def has_words(self, wanted: Collection[str]) -> bool:
        return words.are_in(self.target_label, wanted)

    def leaf_data(self) -> bytes:
        """Return the exact canonical JSON that the leaf hashes."""
        return entries.leaf_data(self, bytes(self.private_hash))

    def committed_hash(self) -> bytes:
        """Return the commitment that the stored personal fields and salt amount to."""
        return entries.private_hash(self, bytes(self.salt or b""))


class Pending(models.Model):
    """An entry that no leaf holds yet; the sealer takes it away."""

    entry_id = models.UUIDField(primary_key=True)
    account_id = models.UUIDField()
    leaf_hash = models.BinaryField()

    class Meta:
        indexes = [models.Index(fields=["account_id", "entry_id"], name="auditlog_pending_of")]

    def __str__(self) -> str:
        return str(self.entry_id)


class Posting(models.Model):
    """The places of a segment's leaves that have a token. Written by `auditlog.indexing`."""

    pk = models.CompositePrimaryKey("account_id", "token", "segment")
    account_id = models.UUIDField()
    segment = models.IntegerField()
    token = models.TextField(db_collation="C")
    places = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.token} in {self.account_id}/{self.segment}"


class Segment(models.Model):
    """4,096 neighbouring leaves whose postings are written, and the ids between which they lie."""

    pk = models.CompositePrimaryKey("account_id", "number")
    account_id = models.UUIDField()
    number = models.IntegerField()
    lowest = models.UUIDField()
    highest = models.UUIDField()

    def __str__(self) -> str:
        return f"{self.account_id}/{self.number}"


class Indexed(models.Model):
    """How many leaves of an account the search index knows."""

    account_id = models.UUIDField(primary_key=True)
    leaf_count = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.account_id} up to {self.leaf_count}"


class LeafQuerySet(models.QuerySet["Leaf"]):
    def indexes_of(self, account_id: UUID, entry_ids: Iterable[UUID]) -> dict[UUID, int]:
        """Return the leaf index of each of these entries that is sealed."""
        found = self.filter(account_id=account_id, entry_id__in=list(entry_ids))
        return dict(found.values_list("entry_id", "leaf_index"))


class Leaf(InsertOnly):
    """The place of an entry in its account's tree. It outlives the entry."""

    pk = models.CompositePrimaryKey("account_id", "leaf_index")
    account_id = models.UUIDField()
    leaf_index = models.BigIntegerField()
    entry_id = models.UUIDField()
    hash = models.BinaryField()

    objects = LeafQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "entry_id"], name="auditlog_leaf_one_of_an_entry"
            )
        ]

    def __str__(self) -> str:
        return f"{self.account_id}/{self.leaf_index}"


class Tile(InsertOnly):
    """256 neighbouring hashes of one level of the tree, and the root over them."""

    pk = models.CompositePrimaryKey("account_id", "level", "number")
    account_id = models.UUIDField()
    level = models.SmallIntegerField()
    number = models.BigIntegerField()
    hashes = models.BinaryField()
    root = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.account_id}/{self.level}/{self.number}"


class Head(models.Model):
    """An account's tree as it stands, with its newest signed checkpoint. It only grows."""

    account_id = models.UUIDField(primary_key=True)
    size = models.BigIntegerField()
    root = models.BinaryField()
    frontier = models.BinaryField()
    note = models.TextField()
    updated_at = models.DateTimeField()
    published_size = models.BigIntegerField(default=0)
    published_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["published_at"],
                condition=Q(size__gt=models.F("published_size")),
                name="auditlog_head_unpublished",
            )
        ]

    def __str__(self) -> str:
        return f"{self.account_id} at {self.size}"

    def tree(self) -> Frontier:
        return Frontier.unpacked(self.size, bytes(self.frontier))


class CheckpointQuerySet(models.QuerySet["Checkpoint"]):
    def of_account(self, account_id: UUID) -> "CheckpointQuerySet":
        return self.filter(account_id=account_id)

    def after(self, number: int) -> "CheckpointQuerySet":
        """Narrow down to what was published later, in the order in which it was."""
        return self.filter(number__gt=number).order_by("number")


class Checkpoint(InsertOnly):
    """A published checkpoint: kept for ever, so that history cannot be told in two ways."""

    pk = models.CompositePrimaryKey("account_id", "size")
    account_id = models.UUIDField()
    size = models.BigIntegerField()
    root = models.BinaryField()
    note = models.TextField()
    published_at = models.DateTimeField()
    # The order in which checkpoints were published, over all accounts. Made by the database.
    number = models.BigIntegerField(unique=True)

    objects = CheckpointQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.account_id} at {self.size}"


class Cosignature(InsertOnly):
    """A witness has seen this checkpoint, and none that contradicts it."""

    pk = models.CompositePrimaryKey("account_id", "size", "witness")
    account_id = models.UUIDField()
    size = models.BigIntegerField()
    witness = models.TextField()
    # A signature line of the checkpoint's note, without its newline.
    line = models.TextField()
    cosigned_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.account_id} at {self.size} by {self.witness}"


class Dispute(models.Model):
    """A witness holds a checkpoint that contradicts ours: nothing more is signed for the account.

    Only the owner of the tables can lift it, after somebody has looked.
    """

    account_id = models.UUIDField(primary_key=True)
    reason = models.TextField()
    found_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.account_id}: {self.reason}"


class Alarm(models.Model):
    """The stored log is not what was signed: told once in the log itself, and to its members."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account_id = models.UUIDField()
    reason = models.TextField()
    found_by = models.TextField()
    found_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account_id", "reason"], name="audit_alarm_is_raised_once"
            )
        ]
        indexes = [models.Index(fields=["found_at"], name="audit_alarm_newest")]

    def __str__(self) -> str:
        return f"{self.account_id}: {self.reason}"


class PublicationRequest(models.Model):
    """Somebody waits for a receipt: the next head of the account is published at once."""

    account_id = models.UUIDField(primary_key=True)

    def __str__(self) -> str:
        return str(self.account_id)


class Reader(models.Model):
    """How far a reader of published checkpoints has come."""

    name = models.TextField(primary_key=True)
    number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.name} up to {self.number}"


def _conditions(filters: Filters) -> list[Q]:
    """Return the conditions besides time and words, to look at a row with."""
    found = [_event_condition(filters.events)] if filters.events else []
    if filters.key_id:
        found.append(Q(key_id=filters.key_id))
    if filters.ip:
        found.append(Q(ip__gte=filters.ip.low, ip__lte=filters.ip.high))
    if filters.outcome:
        found.append(Q(outcome=filters.outcome))
    if filters.request_id:
        found.append(Q(request_id=filters.request_id))
    if filters.label:
        found.append(Q(labels__contains={filters.label.name: filters.label.value}))
    return [*found, *_named("actor", filters.actor), *_named("target", filters.target)]


def _named(field: str, named: Named | None) -> list[Q]:
    if named is None:
        return []
    parts = {f"{field}_type": named.type, f"{field}_id": named.id}
    return [Q(**{name: value}) for name, value in parts.items() if value]


def _event_condition(events: Iterable[str]) -> Q:
    whole = [event for event in events if not event.endswith(".*")]
    condition = Q(event__in=whole)
    for event in events:
        if event.endswith(".*"):
            # "/" is the character after ".".
            subject = event.removesuffix(".*")
            condition |= Q(event__gte=f"{subject}.", event__lt=f"{subject}/")
    return condition
