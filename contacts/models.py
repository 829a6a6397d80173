from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import models
from django.db.models import Q
from django.utils import timezone

from queensmtp.ids import new_id

REASON_LIMIT = 500


class Origin(models.TextChoices):
    """Why an address is written to no more: wire contract 8, and `unsubscribe` of ours."""

    BOUNCE = "bounce", "Bounced"
    COMPLAINT = "complaint", "Complained"
    MANUAL = "manual", "Added by hand"
    UNSUBSCRIBE = "unsubscribe", "Unsubscribed"


class SuppressionQuerySet(models.QuerySet["Suppression"]):
    def standing(self, now: datetime) -> "SuppressionQuerySet":
        """Those that hold mail back now."""
        return self.filter(removed_at=None).filter(Q(expires_at=None) | Q(expires_at__gt=now))

    def ended(self, now: datetime) -> "SuppressionQuerySet":
        """Those that were taken back or ran out."""
        return self.filter(~Q(removed_at=None) | Q(expires_at__lte=now))

    def of(self, account_id: UUID, emails: Iterable[str]) -> "SuppressionQuerySet":
        """Those of these mailboxes, given by their keys (`Mailbox.key`)."""
        return self.filter(account_id=account_id, email__in=list(emails))


class Suppression(models.Model):
    """A mailbox that an account writes to no more; the row stays when it is taken back."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    # The key of the mailbox: lower case, the domain in A-labels.
    email = models.CharField(max_length=320)
    domain = models.CharField(max_length=253)
    origin = models.CharField(max_length=12, choices=Origin.choices)
    # Who unsubscribes asks for no more marketing; a receipt or a password reset still comes.
    marketing_only = models.BooleanField()
    reason = models.CharField(max_length=REASON_LIMIT, blank=True, default="")
    # The message that bounced, was complained about or unsubscribed from.
    source_id = models.UUIDField(null=True)
    created_by = models.CharField(max_length=320)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)
    removed_by = models.CharField(max_length=320, blank=True, default="")
    removal_note = models.CharField(max_length=REASON_LIMIT, blank=True, default="")

    objects = SuppressionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "email", "marketing_only"],
                condition=Q(removed_at=None),
                name="suppression_stands_once",
            ),
            models.CheckConstraint(
                condition=Q(origin__in=Origin.values), name="suppression_origin_is_known"
            ),
            models.CheckConstraint(
                condition=Q(origin=Origin.UNSUBSCRIBE, marketing_only=True)
                | (~Q(origin=Origin.UNSUBSCRIBE) & Q(marketing_only=False)),
                name="suppression_of_marketing_is_an_unsubscription",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "id"], name="suppression_newest"),
            models.Index(fields=["account", "email", "id"], name="suppression_by_email"),
            models.Index(fields=["account", "domain", "id"], name="suppression_by_domain"),
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.origin})"

    def is_standing(self, now: datetime) -> bool:
        return self.removed_at is None and (self.expires_at is None or self.expires_at > now)
