from django.db import models
from django.db.models import Q
from django.utils import timezone

from domains.dkim_keys import Algorithm
from queensmtp.ids import new_id


class DomainStatus(models.TextChoices):
    """The statuses of wire contract 3."""

    NOT_STARTED = "not_started", "Not started"
    PENDING = "pending", "Pending"
    VERIFIED = "verified", "Verified"
    PARTIALLY_VERIFIED = "partially_verified", "Partially verified"
    PARTIALLY_FAILED = "partially_failed", "Partially failed"
    FAILED = "failed", "Failed"


class DomainQuerySet(models.QuerySet["Domain"]):
    def verified(self) -> "DomainQuerySet":
        return self.filter(status=DomainStatus.VERIFIED)


class Domain(models.Model):
    """A sending domain of an account. Anyone may create a name; only *verified* is unique."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    # Lower case, A-labels: the one normal form.
    name = models.CharField(max_length=253)
    status = models.CharField(
        max_length=20, choices=DomainStatus.choices, default=DomainStatus.NOT_STARTED
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    verified_at = models.DateTimeField(null=True)

    objects = DomainQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "name"], name="domain_once_per_account"),
            models.UniqueConstraint(
                fields=["name"], condition=Q(status="verified"), name="domain_verified_once"
            ),
            models.CheckConstraint(
                condition=Q(status__in=DomainStatus.values), name="domain_status_is_known"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_verified(self) -> bool:
        return self.status == DomainStatus.VERIFIED


class DkimKeyQuerySet(models.QuerySet["DkimKey"]):
    def signing(self) -> "DkimKeyQuerySet":
        """The keys that sign now."""
        return self.filter(is_signing=True)


class DkimKey(models.Model):
    """A DKIM key of a domain; the private half is encrypted for this row alone."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    domain = models.ForeignKey(
        Domain, on_delete=models.PROTECT, related_name="dkim_keys", db_constraint=False
    )
    selector = models.CharField(max_length=63)
    algorithm = models.CharField(
        max_length=16, choices=[(one.value, one.value) for one in Algorithm]
    )
    private_key = models.BinaryField()
    public_key = models.BinaryField()
    is_signing = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DkimKeyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "domain", "selector"], name="dkim_selector_once_per_domain"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.selector}._domainkey ({self.algorithm})"
