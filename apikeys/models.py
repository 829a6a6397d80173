from datetime import datetime
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from apikeys.tokens import Environment
from queensmtp.ids import new_id


class KeyStatus(models.TextChoices):
    ACTIVE = "active", "Active"
    ROTATING = "rotating", "Rotating"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def live(self, now: datetime) -> "ApiKeyQuerySet":
        """Keys that may still be used."""
        return self.filter(
            Q(expires_at=None) | Q(expires_at__gt=now),
            Q(overlap_ends_at=None) | Q(overlap_ends_at__gt=now),
            revoked_at=None,
        )

    def in_status(self, status: KeyStatus, now: datetime) -> "ApiKeyQuerySet":
        """Keys whose `status()` is this one."""
        if status == KeyStatus.REVOKED:
            return self.exclude(revoked_at=None)
        if status == KeyStatus.EXPIRED:
            return self.filter(revoked_at=None).exclude(pk__in=self.live(now).values("pk"))
        return self.live(now).filter(overlap_ends_at__isnull=status == KeyStatus.ACTIVE)


class ApiKey(models.Model):
    """A key of an account. NULL means no restriction of that kind; an empty list allows nothing.

    `mac` covers every column that the policy reads: only `apikeys.actions` writes rows that the
    policy believes.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=100)
    notes = models.TextField(blank=True, default="")
    labels = models.JSONField(default=dict)

    public_id = models.CharField(max_length=12, unique=True)
    prefix = models.CharField(max_length=24)
    last4 = models.CharField(max_length=4)
    digest = models.BinaryField(max_length=32)
    pepper_version = models.PositiveSmallIntegerField()
    mac = models.BinaryField(max_length=32)

    environment = models.CharField(
        max_length=16, choices=[(one.value, one.value.title()) for one in Environment]
    )
    scopes = ArrayField(models.CharField(max_length=32))
    domains = ArrayField(models.CharField(max_length=253), null=True)
    allowed_cidrs = ArrayField(models.CharField(max_length=43), null=True)
    allowed_recipients = ArrayField(models.CharField(max_length=320), null=True)
    rate_requests = models.PositiveIntegerField(null=True)
    rate_per_seconds = models.PositiveIntegerField(null=True)
    # Recipients that it may write to in a day (UTC), beside the quota of its account.
    daily_quota = models.PositiveIntegerField(null=True)
    # Whose counter that is taken from: the key that it replaced, or that made it. None: its own.
    quota_counter_id = models.UUIDField(null=True)
    expires_at = models.DateTimeField(null=True)
    overlap_ends_at = models.DateTimeField(null=True)
    # Until then the allowlist refuses nobody and records whom it would have refused.
    learning_until = models.DateTimeField(null=True)
    # With a schedule, `expires_at` is its deadline: each successor gets a new one.
    rotate_every_seconds = models.PositiveIntegerField(null=True)
    # Never authorises; presenting it raises an alarm.
    is_decoy = models.BooleanField(default=False, db_default=False)
    revoked_at = models.DateTimeField(null=True)
    revoked_reason = models.CharField(max_length=200, blank=True, default="")

    replaces_id = models.UUIDField(null=True)
    replaced_by_id = models.UUIDField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.CharField(max_length=254)
    created_by_key_id = models.UUIDField(null=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(environment__in=[one.value for one in Environment]),
                name="api_key_environment_is_known",
            ),
            models.CheckConstraint(
                condition=Q(rate_requests=None, rate_per_seconds=None)
                | Q(rate_requests__gt=0, rate_per_seconds__gt=0),
                name="api_key_rate_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(daily_quota=None) | Q(daily_quota__gt=0),
                name="api_key_daily_quota_is_some",
            ),
            models.CheckConstraint(
                condition=Q(overlap_ends_at=None) | Q(replaced_by_id__isnull=False),
                name="api_key_overlap_has_successor",
            ),
            models.CheckConstraint(
                condition=Q(overlap_ends_at=None)
                | Q(expires_at=None)
                | Q(overlap_ends_at__lte=F("expires_at")),
                name="api_key_overlap_ends_by_expiry",
            ),
            models.CheckConstraint(
                condition=Q(domains=None) | ~Q(domains=[]), name="api_key_domains_not_empty"
            ),
            models.CheckConstraint(
                condition=Q(allowed_cidrs=None) | ~Q(allowed_cidrs=[]),
                name="api_key_cidrs_not_empty",
            ),
            models.CheckConstraint(
                condition=Q(rotate_every_seconds=None) | Q(expires_at__isnull=False),
                name="api_key_schedule_has_deadline",
            ),
        ]
        indexes = [
            models.Index(fields=["account", "id"], name="api_key_of_account"),
            models.Index(
                fields=["expires_at"], condition=Q(revoked_at=None), name="api_key_that_will_end"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.masked})"

    @property
    def masked(self) -> str:
        """What may be shown of the token after it was created."""
        return f"{self.prefix}…{self.last4}"

    @property
    def is_dead(self) -> bool:
        return self.status() in (KeyStatus.EXPIRED, KeyStatus.REVOKED)

    def status(self, now: datetime | None = None) -> KeyStatus:
        now = now or timezone.now()
        if self.revoked_at is not None:
            return KeyStatus.REVOKED
        if self.dies_at is not None and self.dies_at <= now:
            return KeyStatus.EXPIRED
        if self.overlap_ends_at is not None:
            return KeyStatus.ROTATING
        return KeyStatus.ACTIVE

    @property
    def dies_at(self) -> datetime | None:
        """When the key stops by itself: the end of its overlap comes before its expiry."""
        return self.overlap_ends_at or self.expires_at

    @property
    def is_learning(self) -> bool:
        return self.learning_until is not None and timezone.now() < self.learning_until

    @property
    def rate_limit(self) -> dict[str, Any] | None:
        if self.rate_requests is None:
            return None
        return {"requests": self.rate_requests, "per_seconds": self.rate_per_seconds}


class LeakedKey(models.Model):
    """A key that was reported as leaked and revoked for it. While the row stands, mail of the
    key is held: `sending` asks here before each delivery (role worker, which sees no keys)."""

    key = models.OneToOneField(
        ApiKey, on_delete=models.PROTECT, primary_key=True, related_name="leak", db_constraint=False
    )
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    source = models.CharField(max_length=100, blank=True, default="")
    url = models.CharField(max_length=2_000, blank=True, default="")
    reported_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{self.key_id}"


class StoppedKey(models.Model):
    """A key that was revoked together with what it had scheduled. `sending` asks here, and cancels
    that mail (role worker, which sees no keys)."""

    key = models.OneToOneField(
        ApiKey, on_delete=models.PROTECT, primary_key=True, related_name="stop", db_constraint=False
    )
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    stopped_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{self.key_id}"


class WrongSecret(models.Model):
    """What one address presented for one key in one minute, until a worker records it.

    Written by `apikeys.wrong_secrets`. It has no foreign keys: it counts ids of no key, too.
    """

    pk = models.CompositePrimaryKey("key_id", "network", "minute")
    account_id = models.UUIDField()
    key_id = models.UUIDField()
    network = models.CharField(max_length=43)
    minute = models.DateTimeField()
    count = models.PositiveIntegerField()
    key_name = models.CharField(max_length=100)
    labels = models.JSONField()
    address = models.GenericIPAddressField(null=True)
    user_agent = models.TextField()
    request_id = models.TextField()

    class Meta:
        indexes = [models.Index(fields=["minute"], name="wrong_secret_by_minute")]

    def __str__(self) -> str:
        return f"{self.count} from {self.network} at {self.minute}"


class LastUse(models.Model):
    """The newest allowed use of a key, kept beyond the retention of the audit log.

    This and the tables below are written by `apikeys.gathering` from the log's leaves. Like the
    log, they have no foreign keys.
    """

    key_id = models.UUIDField(primary_key=True)
    account_id = models.UUIDField()
    used_at = models.DateTimeField()
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.TextField()

    def __str__(self) -> str:
        return f"{self.key_id} at {self.used_at}"


class DayOfUse(models.Model):
    """How many requests with a key ended in one outcome on one day (UTC)."""

    pk = models.CompositePrimaryKey("key_id", "day", "outcome")
    account_id = models.UUIDField()
    key_id = models.UUIDField()
    day = models.DateField()
    outcome = models.CharField(max_length=16)
    request_count = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.request_count} {self.outcome} on {self.day}"


class SeenNetwork(models.Model):
    """A network, /24 or /48, from which a key was used with success."""

    pk = models.CompositePrimaryKey("key_id", "network")
    account_id = models.UUIDField()
    key_id = models.UUIDField()
    network = models.CharField(max_length=43)
    first_seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.network} since {self.first_seen_at}"


class Gathered(models.Model):
    """How many leaves of an account's log the three tables above know."""

    account_id = models.UUIDField(primary_key=True)
    leaf_count = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.account_id} up to {self.leaf_count}"


class Alarm(models.Model):
    """What was told of a key, and of what exactly, so that it is told once."""

    pk = models.CompositePrimaryKey("account_id", "kind", "about")
    account_id = models.UUIDField()
    kind = models.CharField(max_length=32)
    about = models.CharField(max_length=150)
    raised_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{self.kind} {self.about}"
