"""A stream of the log to somebody else's SIEM: where it goes, and how far it has come."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from queensmtp.ids import new_id


class Kind(models.TextChoices):
    HTTPS = "https", "HTTPS"
    SYSLOG = "syslog", "Syslog over TLS"


class Fields(models.TextChoices):
    ECS = "ecs", "Elastic Common Schema"
    OCSF = "ocsf", "OCSF"


class Stream(models.Model):
    """A worker may take it at `due_at`; `fence` rises each time, and only the newest may report.

    Everything below `next_leaf` was taken by the receiver, in leaf order.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account_id = models.UUIDField()
    kind = models.TextField(choices=Kind.choices)
    # A URL, or host:port.
    address = models.TextField()
    fields = models.TextField(choices=Fields.choices)
    # The value of an Authorization header, encrypted.
    authorization = models.BinaryField(null=True)
    is_enabled = models.BooleanField(default=True)
    next_leaf = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    due_at = models.DateTimeField(default=timezone.now)
    fence = models.IntegerField(default=0)
    failure_count = models.IntegerField(default=0)
    problem = models.TextField(blank=True)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=Kind.values), name="audit_stream_kind_is_known"
            ),
            models.CheckConstraint(
                condition=Q(fields__in=Fields.values), name="audit_stream_fields_are_known"
            ),
        ]
        indexes = [
            models.Index(fields=["account_id", "id"], name="audit_stream_newest"),
            models.Index(fields=["due_at"], condition=Q(is_enabled=True), name="audit_stream_due"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} stream to {self.shown_address}"

    @property
    def shown_address(self) -> str:
        """Without a query, in which some receivers want a token."""
        path, mark, _ = self.address.partition("?")
        return f"{path}{mark}…" if mark else path
