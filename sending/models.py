from datetime import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from queensmtp.ids import new_id
from sending.mta_sts import Mode, Policy
from sending.periods import Period
from sending.states import CLAIMABLE, Reaction, State


class MessageQuerySet(models.QuerySet["Message"]):
    def addressed_to(self, address: str) -> "MessageQuerySet":
        """Messages that name an address as a recipient of any kind."""
        named = Recipient.objects.filter(address=address).values("message_id")
        return self.filter(pk__in=named)


class Message(models.Model):
    """An accepted message. Partitioned by id; written by the accept statement."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey(
        "accounts.Account", on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    key_id = models.UUIDField(null=True)
    domain = models.ForeignKey(
        "domains.Domain", on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    environment = models.CharField(max_length=16)
    via = models.CharField(max_length=8)
    request_id = models.CharField(max_length=36)
    # The RFC 5322 Message-ID without its angle brackets: the same on every attempt.
    message_id = models.CharField(max_length=320)
    # The From header as it was asked for, and the address in it.
    sender = models.CharField(max_length=998)
    sender_address = models.CharField(max_length=320)
    to = ArrayField(models.CharField(max_length=998))
    cc = ArrayField(models.CharField(max_length=998), null=True)
    bcc = ArrayField(models.CharField(max_length=998), null=True)
    reply_to = ArrayField(models.CharField(max_length=998), null=True)
    subject = models.TextField()
    tags = models.JSONField(default=list)
    # Bodies, headers and attachments, encrypted; None once the account's retention is over.
    content = models.BinaryField(null=True)
    size = models.PositiveIntegerField()
    scheduled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = MessageQuerySet.as_manager()

    @property
    def leaves_at(self) -> datetime:
        """From when on it was to leave: its age counts from here, and its Date says it."""
        return self.scheduled_at or self.created_at

    class Meta:
        indexes = [
            models.Index(fields=["account", "id"], name="message_newest"),
            models.Index(fields=["account", "key_id", "id"], name="message_by_key"),
        ]

    def __str__(self) -> str:
        return f"{self.id}"


class RecipientQuerySet(models.QuerySet["Recipient"]):
    def claimable(self) -> "RecipientQuerySet":
        return self.filter(state__in=CLAIMABLE)


class Recipient(models.Model):
    """One delivery of a message, to one address. This table is the queue."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey(
        "accounts.Account", on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    message = models.ForeignKey(
        Message, on_delete=models.PROTECT, related_name="recipients", db_constraint=False
    )
    kind = models.CharField(max_length=3, choices=[("to", "To"), ("cc", "Cc"), ("bcc", "Bcc")])
    address = models.CharField(max_length=320)
    # The destination: deliveries are grouped and limited by it.
    domain = models.CharField(max_length=253)
    state = models.CharField(
        max_length=10, choices=[(one.value, one.value) for one in State], default=State.QUEUED
    )
    # What its reader did, beyond the state.
    reaction = models.CharField(
        max_length=10,
        choices=[(one.value, one.value) for one in Reaction],
        blank=True,
        default="",
        db_default="",
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    in_doubt_count = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    # Fencing: an outcome is only taken from the worker whose token is still here.
    lease_token = models.BigIntegerField(null=True)
    leased_until = models.DateTimeField(null=True)
    smtp_code = models.PositiveSmallIntegerField(null=True)
    enhanced_code = models.CharField(max_length=12, blank=True, default="")
    reply = models.TextField(blank=True, default="")
    mx_host = models.CharField(max_length=253, blank=True, default="")
    tls_version = models.CharField(max_length=16, blank=True, default="")
    tls_cipher = models.CharField(max_length=64, blank=True, default="")
    finished_at = models.DateTimeField(null=True)

    objects = RecipientQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["account", "message"], name="recipient_of_message"),
            models.Index(fields=["account", "address", "id"], name="recipient_by_address"),
            models.Index(
                fields=["account", "due_at"],
                condition=Q(state__in=sorted(CLAIMABLE)),
                name="recipient_waiting",
            ),
            models.Index(
                fields=["due_at"], condition=Q(state="scheduled"), name="recipient_scheduled"
            ),
            models.Index(
                fields=["leased_until"], condition=Q(state="sending"), name="recipient_leased"
            ),
            models.Index(
                fields=["id"],
                condition=Q(state="suppressed", finished_at=None),
                name="recipient_suppressed_untold",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.address}: {self.state}"

    @property
    def outcome(self) -> State | Reaction:
        """How far it came: its state, or what its reader did with what was delivered."""
        state = State(self.state)
        was_delivered = state in (State.SENT, State.DELIVERED)
        return Reaction(self.reaction) if self.reaction and was_delivered else state


class DeliveryEvent(models.Model):
    """What became of one attempt, with the remote's own words. Partitioned by id."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey(
        "accounts.Account", on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    message = models.ForeignKey(
        Message, on_delete=models.PROTECT, related_name="events", db_constraint=False
    )
    recipient_id = models.UUIDField()
    type = models.CharField(max_length=32)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # attempt, claimed_at, dkim [{d, s, a}], mx_host, tls_version, tls_cipher, code,
    # enhanced_code, reply.
    data = models.JSONField(default=dict)

    class Meta:
        indexes = [models.Index(fields=["account", "message", "id"], name="event_of_message")]

    def __str__(self) -> str:
        return self.type


class IdempotentRequest(models.Model):
    """The answer to a request that carried an idempotency key; never partitioned, so that the
    constraint holds whatever the time."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    endpoint = models.CharField(max_length=32)
    key_digest = models.BinaryField(max_length=32)
    fingerprint = models.BinaryField(max_length=32)
    answer = models.JSONField()
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "endpoint", "key_digest"], name="idempotent_request_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.id}"


class Destination(models.Model):
    """A destination that takes less than its full share, or that an operator has paused.

    It belongs to no tenant: what one account's mail taught, the next one's need not learn again.
    A destination that is well has no row.
    """

    domain = models.CharField(max_length=253, primary_key=True)
    allowed = models.PositiveSmallIntegerField()
    failure_count = models.PositiveIntegerField(default=0)
    resting_until = models.DateTimeField(null=True)
    is_paused = models.BooleanField(default=False)
    # What it said last, for the operator.
    reply = models.TextField(blank=True, default="")
    changed_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.domain


class HoldKind(models.TextChoices):
    ACCOUNT = "account", "All mail of this account"
    DOMAIN = "domain", "Mail from a sending domain"
    DESTINATION = "destination", "Mail to a destination"


class Hold(models.Model):
    """Mail that an admin of the account holds back until it is let go."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=12, choices=HoldKind.choices)
    # The domain in its one normal form; empty for the whole account.
    name = models.CharField(max_length=253, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "kind", "name"], name="hold_once"),
            models.CheckConstraint(
                condition=Q(kind="account", name="")
                | (Q(kind__in=["domain", "destination"]) & ~Q(name="")),
                name="hold_names_what_it_holds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}".strip()

    @property
    def words(self) -> str:
        if self.kind == HoldKind.ACCOUNT:
            return "all mail"
        return f"mail {'from' if self.kind == HoldKind.DOMAIN else 'to'} {self.name}"


class Warmup(models.Model):
    """A sending domain that is young: how many messages it may send on each day."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    domain = models.ForeignKey(
        "domains.Domain", on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    started_on = models.DateField()
    # The day that `sent_count` counts.
    counted_on = models.DateField()
    sent_count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "domain"], name="warmup_once_per_domain")
        ]

    def __str__(self) -> str:
        return f"{self.domain_id} since {self.started_on}"

    @property
    def sent_today(self) -> int:
        return self.sent_count if self.counted_on == timezone.now().date() else 0


class MtaStsPolicy(models.Model):
    """The MTA-STS policy of a destination, kept until it expires (RFC 8461). Of no tenant."""

    domain = models.CharField(max_length=253, primary_key=True)
    policy_id = models.CharField(max_length=32)
    mode = models.CharField(max_length=8, choices=[(one.value, one.value) for one in Mode])
    hosts = ArrayField(models.CharField(max_length=255))
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.domain}: {self.mode}"

    @property
    def policy(self) -> Policy:
        return Policy(self.policy_id, Mode(self.mode), tuple(self.hosts), self.expires_at)

    @classmethod
    def of(cls, domain: str, policy: Policy) -> "MtaStsPolicy":
        return cls(
            domain=domain,
            policy_id=policy.id,
            mode=policy.mode,
            hosts=list(policy.hosts),
            expires_at=policy.expires_at,
        )


class ContentRetention(models.Model):
    """For how long an account keeps the contents of its messages, and how far they were dropped."""

    account_id = models.UUIDField(primary_key=True)
    # None: MESSAGE_CONTENT_DAYS.
    days = models.PositiveSmallIntegerField(null=True)
    # Of what was accepted before, no contents are left.
    dropped_before = models.DateTimeField(null=True)
    looked_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.account_id}: {self.days} days"

    @property
    def days_that_hold(self) -> int:
        default: int = settings.MESSAGE_CONTENT_DAYS
        return default if self.days is None else self.days


class QuotaCounter(models.Model):
    """What an account, or a key and its successors, accepted in a day or a month.

    Raised by the statement that stores mail; `allowed` is the limit that it was last held against.
    """

    pk = models.CompositePrimaryKey("account_id", "counter_id", "period", "starts_on")
    account_id = models.UUIDField()
    # The account's id, or that of the key whose counter it is.
    counter_id = models.UUIDField()
    period = models.CharField(max_length=5, choices=[("day", "Day"), ("month", "Month")])
    starts_on = models.DateField()
    allowed = models.BigIntegerField()
    used = models.BigIntegerField(default=0)
    # The last mark that its people were told of.
    told_percent = models.PositiveSmallIntegerField(default=0)

    class Meta:
        indexes = [models.Index(fields=["starts_on"], name="quota_counter_by_start")]

    @property
    def resets_at(self) -> datetime:
        return Period(self.period).ends_at(self.starts_on)

    def __str__(self) -> str:
        return f"{self.used} of {self.allowed} in the {self.period} of {self.starts_on}"
