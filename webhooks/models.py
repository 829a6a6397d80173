from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from queensmtp.ids import new_id


class EndpointStatus(models.TextChoices):
    ENABLED = "enabled", "Enabled"
    DISABLED = "disabled", "Disabled"


class DisabledReason(models.TextChoices):
    NONE = "", "Not disabled"
    REQUESTED = "requested", "Disabled by a person or a key"
    GONE = "gone", "The receiver answered 410 Gone"
    FAILING = "failing", "It failed for days on end"


class EndpointQuerySet(models.QuerySet["Endpoint"]):
    def standing(self) -> "EndpointQuerySet":
        """All that were not removed; a removed one keeps its row for its deliveries' sake."""
        return self.filter(removed_at=None, listening_until=None)

    def listening(self, now: datetime) -> "EndpointQuerySet":
        """Those of `queensmtp webhooks listen`, which fetch what others are sent."""
        return self.filter(removed_at=None, listening_until__gt=now)

    def told(self, now: datetime) -> "EndpointQuerySet":
        """All that events are written for."""
        return self.filter(
            Q(listening_until=None) | Q(listening_until__gt=now),
            removed_at=None,
            status=EndpointStatus.ENABLED,
        )

    def enabled(self) -> "EndpointQuerySet":
        return self.standing().filter(status=EndpointStatus.ENABLED)


class Endpoint(models.Model):
    """Where an account wants to hear of events, and of which."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    # Without `user:password@`, which is kept encrypted beside it.
    url = models.TextField()
    credentials = models.BinaryField(null=True)
    events = ArrayField(models.TextField())
    status = models.CharField(
        max_length=16, choices=EndpointStatus.choices, default=EndpointStatus.ENABLED
    )
    disabled_reason = models.CharField(
        max_length=16, choices=DisabledReason.choices, default=DisabledReason.NONE, blank=True
    )
    # One delivery at a time, in the order of the events' ids.
    is_ordered = models.BooleanField(default=False, db_default=False)
    # Of a listener only, which fetches its events itself, and ends when it has not for a while.
    listening_until = models.DateTimeField(null=True)
    # Set by the first failure, unset by the first success.
    failing_since = models.DateTimeField(null=True)
    # An endpoint that cannot be reached is left alone until then.
    resting_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    removed_at = models.DateTimeField(null=True)

    objects = EndpointQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(status__in=EndpointStatus.values), name="webhook_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(status="enabled", disabled_reason="")
                | Q(status="disabled", disabled_reason__in=["requested", "gone", "failing"]),
                name="webhook_disabled_for_a_reason",
            ),
        ]
        indexes = [
            models.Index(
                fields=["account", "id"],
                condition=Q(removed_at=None),
                name="webhook_standing_of_account",
            ),
        ]

    def __str__(self) -> str:
        return self.url

    @property
    def is_enabled(self) -> bool:
        return self.status == EndpointStatus.ENABLED and self.removed_at is None

    @property
    def shown_url(self) -> str:
        """What may be shown: that there are credentials, but not which."""
        if self.credentials is None:
            return self.url
        return self.url.replace("://", "://***@", 1)


class SigningSecretQuerySet(models.QuerySet["SigningSecret"]):
    def live(self, now: datetime) -> "SigningSecretQuerySet":
        """Newest first: the current one, then those that a rotation lets run out."""
        return self.filter(Q(expires_at=None) | Q(expires_at__gt=now)).order_by("-id")

    def current(self) -> "SigningSecretQuerySet":
        return self.filter(expires_at=None)


class SigningSecret(models.Model):
    """Signs deliveries: of the whole account, or of one endpoint that was given its own."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    endpoint = models.ForeignKey(
        Endpoint,
        on_delete=models.PROTECT,
        related_name="secrets",
        null=True,
        db_constraint=False,
    )
    secret = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # The end of the overlap, once a newer one was made.
    expires_at = models.DateTimeField(null=True)

    objects = SigningSecretQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account"],
                condition=Q(endpoint=None, expires_at=None),
                name="webhook_secret_current_of_account",
            ),
            models.UniqueConstraint(
                fields=["endpoint"],
                condition=Q(expires_at=None),
                name="webhook_secret_current_of_endpoint",
            ),
        ]

    def __str__(self) -> str:
        return f"signing secret {self.pk}"


class DeliveryQuerySet(models.QuerySet["Delivery"]):
    def given_up(self) -> "DeliveryQuerySet":
        """The dead letters: out of attempts, or canceled when their endpoint was disabled."""
        return self.filter(state__in=[DeliveryState.FAILED, DeliveryState.CANCELED])

    def with_status(self, status: str) -> "DeliveryQuerySet":
        """By the status of the wire (wire contract 6)."""
        if status == "failed":
            return self.given_up()
        if status == "success":
            return self.filter(state=DeliveryState.DELIVERED)
        waiting = self.filter(state__in=[DeliveryState.PENDING, DeliveryState.SENDING])
        untried = Q(state=DeliveryState.PENDING, attempt_count=0)
        return waiting.filter(untried) if status == "pending" else waiting.exclude(untried)


class DeliveryState(models.TextChoices):
    """pending → sending → delivered | pending (again) | failed; canceled from the first two."""

    PENDING = "pending", "Pending"
    SENDING = "sending", "Sending"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"
    CANCELED = "canceled", "Canceled"


class Delivery(models.Model):
    """One event on its way to one endpoint. Partitioned by id; written in the event's transaction.

    A worker may take it at `due_at`: the next attempt of a pending one, the end of the lease of
    one that is being sent. `fence` rises with every claim, so that only the newest may report.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account_id = models.UUIDField()
    endpoint = models.ForeignKey(
        Endpoint,
        on_delete=models.PROTECT,
        related_name="deliveries",
        db_constraint=False,
        db_index=False,
    )
    event_id = models.UUIDField()
    event_type = models.TextField()
    # The very bytes that are signed and sent, so that every retry repeats them.
    body = models.BinaryField()
    state = models.TextField(choices=DeliveryState.choices, default=DeliveryState.PENDING)
    attempt_count = models.IntegerField(default=0)
    # Made before the last replay, which begins the schedule anew.
    attempts_before_replay = models.IntegerField(default=0, db_default=0)
    due_at = models.DateTimeField()
    fence = models.IntegerField(default=0)
    finished_at = models.DateTimeField(null=True)
    last_status = models.IntegerField(null=True)
    last_reason = models.TextField(default="", blank=True)
    last_latency_milliseconds = models.IntegerField(null=True)

    objects = DeliveryQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["account_id", "endpoint", "event_id"], name="webhook_delivery_of_event"
            ),
            models.Index(
                fields=["account_id", "endpoint", "event_id"],
                condition=Q(state__in=["failed", "canceled"]),
                name="webhook_delivery_given_up",
            ),
            # The oldest of an ordered endpoint.
            models.Index(
                fields=["endpoint", "event_id"],
                condition=Q(state__in=["pending", "sending"]),
                name="webhook_delivery_in_order",
            ),
            models.Index(
                fields=["endpoint", "due_at"],
                condition=Q(state__in=["pending", "sending"]),
                name="webhook_delivery_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.state}"

    @property
    def status(self) -> str:
        """As the wire has it: `pending`, `attempting`, `success` or `failed`."""
        if self.state == DeliveryState.DELIVERED:
            return "success"
        if self.state in (DeliveryState.FAILED, DeliveryState.CANCELED):
            return "failed"
        is_untried = self.state == DeliveryState.PENDING and not self.attempt_count
        return "pending" if is_untried else "attempting"

    @property
    def next_attempt_at(self) -> datetime | None:
        return self.due_at if self.state == DeliveryState.PENDING else None


class Attempt(models.Model):
    """One try of a delivery and what came back. Partitioned by id.

    No foreign key to the delivery: partitions of deliveries could then not be dropped before
    those of their attempts.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account_id = models.UUIDField()
    delivery_id = models.UUIDField()
    number = models.IntegerField()
    sent_at = models.DateTimeField()
    status = models.IntegerField(null=True)
    reason = models.TextField(default="", blank=True)
    latency_milliseconds = models.IntegerField(null=True)
    # The beginning of the receiver's answer.
    response = models.TextField(default="", blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["account_id", "delivery_id", "id"], name="webhook_attempt_of_delivery"
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.delivery_id}"
