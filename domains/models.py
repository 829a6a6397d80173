import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from domains import dkim_keys, names, records
from domains.dkim_keys import Algorithm
from domains.records import Ours, PublishedKey, Record, Setup
from domains.standing import VERIFIED, Finding
from queensmtp.ids import new_id

TOKEN_BYTES = 24
DEFAULT_RETURN_PATH = "send"
REGIONS = ("us-east-1", "eu-west-1", "sa-east-1", "ap-northeast-1")


def new_token() -> str:
    return secrets.token_urlsafe(TOKEN_BYTES)


class DomainStatus(models.TextChoices):
    """The statuses of wire contract 3."""

    NOT_STARTED = "not_started", "Not started"
    PENDING = "pending", "Pending"
    VERIFIED = "verified", "Verified"
    PARTIALLY_VERIFIED = "partially_verified", "Partially verified"
    PARTIALLY_FAILED = "partially_failed", "Partially failed"
    FAILED = "failed", "Failed"


class DomainQuerySet(models.QuerySet["Domain"]):
    def standing(self) -> "DomainQuerySet":
        """Those that were not removed."""
        return self.filter(removed_at=None)

    def verified(self) -> "DomainQuerySet":
        """Those that may send."""
        return self.filter(can_send=True)

    def due(self, now: datetime) -> "DomainQuerySet":
        return self.standing().filter(check_due_at__lte=now)


class Domain(models.Model):
    """A sending domain of an account. Anyone may create a name; only one that sends is unique."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    # Lower case, A-labels: the one normal form.
    name = models.CharField(max_length=253)
    status = models.CharField(
        max_length=20, choices=DomainStatus.choices, default=DomainStatus.NOT_STARTED
    )
    # Proven, and nothing that it needs has been gone for longer than the grace.
    can_send = models.BooleanField(default=False)
    verification_token = models.CharField(max_length=64, default=new_token)
    region = models.CharField(max_length=20, default=REGIONS[0])
    return_path = models.CharField(max_length=63, default=DEFAULT_RETURN_PATH)
    tracking_subdomain = models.CharField(max_length=63, blank=True, default="")
    open_tracking = models.BooleanField(default=False)
    click_tracking = models.BooleanField(default=False)
    enforces_tls = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    verified_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)

    # What the last check found, by the record's slug.
    findings = models.JSONField(default=dict)
    # Since when somebody waits for records to appear.
    awaited_since = models.DateTimeField(default=timezone.now)
    status_changed_at = models.DateTimeField(default=timezone.now)
    check_requested_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True)
    check_due_at = models.DateTimeField(null=True, default=timezone.now)
    # Told to nobody but the owner: who lost the name to another account reads why.
    note = models.CharField(max_length=300, blank=True, default="")

    objects = DomainQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "name"],
                condition=Q(removed_at=None),
                name="domain_stands_once_per_account",
            ),
            models.UniqueConstraint(
                fields=["name"], condition=Q(can_send=True), name="domain_sends_once"
            ),
            models.CheckConstraint(
                condition=Q(status__in=DomainStatus.values), name="domain_status_is_known"
            ),
            models.CheckConstraint(
                condition=Q(can_send=False)
                | Q(
                    status__in=["verified", "partially_verified", "partially_failed"],
                    removed_at=None,
                ),
                name="domain_that_sends_is_verified",
            ),
        ]
        indexes = [
            models.Index(
                fields=["check_due_at"], condition=Q(removed_at=None), name="domain_check_due"
            ),
            models.Index(fields=["account", "id"], name="domain_newest"),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_verified(self) -> bool:
        """Whether mail from it is taken and sent."""
        return self.can_send

    @property
    def is_lookalike(self) -> bool:
        return names.is_lookalike(self.name)

    @property
    def shown_name(self) -> str:
        return names.shown(self.name)

    @property
    def is_being_checked(self) -> bool:
        """Somebody asked for a check that has not come back yet."""
        asked, checked = self.check_requested_at, self.checked_at
        return asked is not None and (checked is None or checked < asked)

    def setup(self) -> Setup:
        keys = [key.published() for key in self.standing_keys()]
        return Setup(
            self.name, self.verification_token, self.return_path, self.tracking_subdomain, keys
        )

    def standing_keys(self) -> list["DkimKey"]:
        """Those that are or should be in DNS, the ones that sign first."""
        kept = [key for key in self.dkim_keys.all() if key.state != DkimState.RETIRED]
        return sorted(
            kept, key=lambda key: (DkimState.values.index(key.state), key.created_at, key.selector)
        )

    def to_publish(self) -> list[Record]:
        return records.to_publish(self.setup(), ours())

    def advised(self) -> list[Record]:
        return records.advised(self.setup(), names.organisational_domain(self.name))

    @property
    def own_return_path(self) -> str | None:
        """The host that bounces come back to, once DNS leads them on to us."""
        slugs = ("return_path_mx", "return_path_spf")
        is_shown = all(self.finding(slug).status == VERIFIED for slug in slugs)
        return f"{self.return_path}.{self.name}" if is_shown else None

    @property
    def own_tracking_host(self) -> str:
        """The host of links in its mail, while DNS leads it to us; empty for ours."""
        slug = records.tracking_slug(self.tracking_subdomain)
        is_shown = bool(self.tracking_subdomain) and self.finding(slug).status == VERIFIED
        return f"{self.tracking_subdomain}.{self.name}" if is_shown else ""

    def finding(self, slug: str) -> Finding:
        stored: Mapping[str, Any] = self.findings
        return Finding.from_json(stored.get(slug))


class DkimState(models.TextChoices):
    """The life of a DKIM key."""

    SIGNING = "signing", "Signs"
    NEXT = "next", "Waits until DNS shows it"
    RETIRING = "retiring", "Signs no more; mail that it signed is still under way"
    RETIRED = "retired", "Safe to remove from DNS"


class DkimKeyQuerySet(models.QuerySet["DkimKey"]):
    def signing(self) -> "DkimKeyQuerySet":
        """The keys that sign now."""
        return self.filter(state=DkimState.SIGNING)


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
    # Empty once it signs no more and never will.
    private_key = models.BinaryField()
    public_key = models.BinaryField()
    state = models.CharField(max_length=10, choices=DkimState.choices, default=DkimState.SIGNING)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    # Since when it is in its state.
    state_since = models.DateTimeField(default=timezone.now)

    objects = DkimKeyQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "domain", "selector"], name="dkim_selector_once_per_domain"
            ),
            models.CheckConstraint(
                condition=Q(state__in=DkimState.values), name="dkim_state_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.selector}._domainkey ({self.algorithm})"

    def published(self) -> PublishedKey:
        text = dkim_keys.dns_record(bytes(self.public_key))
        return PublishedKey(self.selector, text, signs=self.state == DkimState.SIGNING)


class SenderIdentity(models.Model):
    """A name and an address of a domain, to send as."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey("accounts.Account", on_delete=models.PROTECT, related_name="+")
    domain = models.ForeignKey(
        Domain, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    name = models.CharField(max_length=256, blank=True, default="")
    email = models.CharField(max_length=254)
    # What no two identities share: the mailbox, whatever its case.
    key = models.CharField(max_length=254)
    reply_to = models.CharField(max_length=254, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "key"], name="sender_id_once_per_account")
        ]
        indexes = [models.Index(fields=["account", "id"], name="sender_id_newest")]

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>" if self.name else self.email


def ours() -> Ours:
    """The hosts of this installation, from its settings."""
    mechanism = (
        f"include:{settings.SPF_INCLUDE}" if settings.SPF_INCLUDE else f"a:{settings.HELO_NAME}"
    )
    return Ours(settings.RETURN_PATH_HOST, mechanism, settings.TRACKING_HOST)
