"""The export of a log: a job, and the file that it makes."""

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone

from queensmtp.ids import new_id


class Format(models.TextChoices):
    JSONL = "jsonl", "JSON Lines"
    CSV = "csv", "CSV"


class Status(models.TextChoices):
    """queued → running → ready | failed; canceled from the first two."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"
    CANCELED = "canceled", "Canceled"


UNFINISHED = (Status.QUEUED, Status.RUNNING)


class ExportQuerySet(models.QuerySet["Export"]):
    def unfinished(self) -> "ExportQuerySet":
        return self.filter(status__in=UNFINISHED)

    def with_file(self) -> "ExportQuerySet":
        return self.filter(status=Status.READY, removed_at=None)


class Export(models.Model):
    """A worker may take it at `due_at`; `fence` rises each time, and only the newest may report."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account_id = models.UUIDField()
    format = models.TextField(choices=Format.choices)
    # As the list's query has them: name → values.
    filters = models.JSONField(default=dict)
    proofs = models.BooleanField(default=False)
    status = models.TextField(choices=Status.choices, default=Status.QUEUED)
    # The entry that says it was asked for: it is in the export itself.
    entry_id = models.UUIDField()
    asked_by_type = models.TextField()
    asked_by_id = models.TextField()
    asked_by_label = models.TextField(blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    due_at = models.DateTimeField(default=timezone.now)
    fence = models.IntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    rows_done = models.BigIntegerField(default=0)
    rows_total = models.BigIntegerField(null=True)
    byte_count = models.BigIntegerField(null=True)
    sha256 = models.TextField(blank=True)
    # The published checkpoint that it stands on.
    tree_size = models.BigIntegerField(null=True)
    problem = models.TextField(blank=True)
    expires_at = models.DateTimeField(null=True)
    # When the file went, because it expired.
    removed_at = models.DateTimeField(null=True)

    objects = ExportQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=Status.values), name="audit_export_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(format__in=Format.values), name="audit_export_format_is_known"
            ),
            models.CheckConstraint(
                condition=~Q(status="ready")
                | Q(byte_count__isnull=False, tree_size__isnull=False, expires_at__isnull=False),
                name="audit_export_that_is_ready_has_a_file",
            ),
        ]
        indexes = [
            models.Index(fields=["account_id", "id"], name="audit_export_newest"),
            models.Index(
                fields=["due_at"],
                condition=Q(status__in=["queued", "running"]),
                name="audit_export_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.format} export {self.pk}"

    @property
    def is_unfinished(self) -> bool:
        return self.status in UNFINISHED

    @property
    def has_file(self) -> bool:
        return self.status == Status.READY and self.removed_at is None

    @property
    def percent(self) -> int | None:
        """How far it is, rounded down, so that 100 means done; None until the rows are counted."""
        if self.rows_total is None:
            return None
        return 100 if not self.rows_total else int(100 * self.rows_done / self.rows_total)

    def has_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now
