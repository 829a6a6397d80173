"""How long an account keeps its entries, and whose personal data is to go from them."""

import hashlib
from collections.abc import Iterable, Iterator

from django.db import models
from django.db.models import Q
from django.utils import timezone

from queensmtp.ids import new_id


class Retention(models.Model):
    """An account's days: those of its plan, or more. They rise at once and fall after a notice."""

    account_id = models.UUIDField(primary_key=True)
    plan_days = models.IntegerField()
    chosen_days = models.IntegerField(null=True)
    # What a lower plan will give, and from when on.
    falls_to = models.IntegerField(null=True)
    falls_at = models.DateTimeField(null=True)
    # Entries that are older have lost their contents; their leaves stay.
    pruned_before = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.account_id}: {self.days} days"

    @property
    def days(self) -> int:
        return max(self.plan_days, self.chosen_days or 0)

    @property
    def days_after_fall(self) -> int:
        """What will hold once the plan's days have fallen; the same when none was announced."""
        return max(self.falls_to or self.plan_days, self.chosen_days or 0)


class RetentionClock(models.Model):
    """What time it was when we last looked, and how often in a row that made sense. One row."""

    id = models.SmallIntegerField(primary_key=True)
    last_seen_at = models.DateTimeField()
    confirmations = models.IntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.last_seen_at}, confirmed {self.confirmations} times"


class Erasure(models.Model):
    """A person's data that is to go from the entries that these filters find."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account_id = models.UUIDField()
    # Emptied when it is done: they name the person.
    filters = models.JSONField(default=dict)
    asked_by_type = models.TextField()
    asked_by_id = models.TextField()
    asked_by_label = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    entry_count = models.IntegerField(default=0)
    # Whose data went (`packed`), which the entry of this erasure commits to.
    leaves = models.BinaryField(default=b"")
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["account_id", "id"], name="audit_erasure_newest"),
            models.Index(
                fields=["created_at"], condition=Q(finished_at=None), name="audit_erasure_waiting"
            ),
        ]

    def __str__(self) -> str:
        return f"erasure {self.pk}"


def packed(leaf_indexes: Iterable[int]) -> bytes:
    """Leaf indexes in their order, 8 bytes each, the most significant first."""
    return b"".join(index.to_bytes(8) for index in sorted(leaf_indexes))


def unpacked(leaves: bytes) -> Iterator[int]:
    return (int.from_bytes(leaves[at : at + 8]) for at in range(0, len(leaves), 8))


def commitment(leaves: bytes) -> str:
    """What the log says of them: it vouches for these leaves and no others."""
    return hashlib.sha256(leaves).hexdigest()
