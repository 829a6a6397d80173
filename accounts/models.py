from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, available_timezones

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from accounts.plans import Plan, Terms, terms_of
from accounts.roles import Right, Role, rights_of
from queensmtp.ids import new_id


def validate_time_zone(name: str) -> None:
    if name not in available_timezones():
        raise ValidationError("This is not a time zone name, such as Europe/Berlin.")


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    """A person. People belong to no tenant; their memberships do."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    email = models.EmailField(unique=True, max_length=254)
    name = models.CharField(max_length=120, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC", validators=[validate_time_zone])
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")), name="user_email_is_lower_case"
            ),
        ]

    def __str__(self) -> str:
        return self.email

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def get_full_name(self) -> str:
        return self.name or self.email


class AccountStatus(models.TextChoices):
    ACTIVE = "active", "Active"
    CLOSED = "closed", "Closed"


class Account(models.Model):
    """A tenant. Row-level security shows only the current one."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    name = models.CharField(max_length=120)
    plan = models.CharField(
        max_length=16,
        choices=[(plan.value, plan.value.title()) for plan in Plan],
        default=Plan.COMMUNITY.value,
    )
    status = models.CharField(
        max_length=16, choices=AccountStatus.choices, default=AccountStatus.ACTIVE
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=AccountStatus.values), name="account_status_is_known"
            ),
            models.CheckConstraint(
                condition=models.Q(plan__in=[plan.value for plan in Plan]),
                name="account_plan_is_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        return self.status == AccountStatus.ACTIVE

    @property
    def terms(self) -> Terms:
        return terms_of(self.plan)


class MembershipQuerySet(models.QuerySet["Membership"]):
    def owners(self) -> "MembershipQuerySet":
        return self.filter(role=Role.OWNER)


class Membership(models.Model):
    """A person's role in an account."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=16, choices=[(role.value, role.value) for role in Role])
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "user"], name="membership_is_one_per_person"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=[role.value for role in Role]),
                name="membership_role_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} is {self.role} of {self.account_id}"

    @property
    def is_owner(self) -> bool:
        return self.role == Role.OWNER

    def has(self, right: Right) -> bool:
        return right in rights_of(self.role)

    def can_give(self, role: Role) -> bool:
        """Whoever brings somebody in gives at most what they may do themselves."""
        return self.has(Right.MEMBERS_WRITE) and rights_of(role) <= rights_of(self.role)


class InvitationQuerySet(models.QuerySet["Invitation"]):
    def standing(self, now: datetime) -> "InvitationQuerySet":
        return self.filter(ended_at=None, expires_at__gt=now)


class Invitation(models.Model):
    """A place in an account, offered to an address. Its link is nowhere stored."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="invitations")
    email = models.EmailField(max_length=254)
    role = models.CharField(max_length=16, choices=[(role.value, role.value) for role in Role])
    invited_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    # Accepted or withdrawn; then it stands no more.
    ended_at = models.DateTimeField(null=True)

    objects = InvitationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(email=Lower("email")), name="invitation_email_is_lower_case"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=[role.value for role in Role]),
                name="invitation_role_is_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} as {self.role} of {self.account_id}"

    def stands(self, now: datetime) -> bool:
        return self.ended_at is None and now < self.expires_at


class NoticeQuerySet(models.QuerySet["Notice"]):
    def due(self, now: datetime) -> "NoticeQuerySet":
        return self.filter(finished_at=None, due_at__lte=now)


class Notice(models.Model):
    """Something that the members who hold a right are told by e-mail: an outbox.

    With an `invitation`, only the invited person is told, and only while it stands.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="+")
    to_right = models.CharField(max_length=32, blank=True)
    invitation = models.ForeignKey(
        Invitation, on_delete=models.PROTECT, null=True, related_name="+", db_constraint=False
    )
    kind = models.CharField(max_length=64)
    # What it is about, where the same must not be told twice.
    once = models.CharField(max_length=200, blank=True)
    subject = models.CharField(max_length=200)
    text = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    attempt_count = models.PositiveSmallIntegerField(default=0)
    due_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    # None until finished; then whether it left, or was given up.
    was_sent = models.BooleanField(null=True)

    objects = NoticeQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind", "once"],
                condition=~models.Q(once=""),
                name="notice_is_told_once",
            ),
            models.CheckConstraint(
                condition=models.Q(finished_at__isnull=True, was_sent__isnull=True)
                | models.Q(finished_at__isnull=False, was_sent__isnull=False),
                name="notice_that_is_finished_says_how",
            ),
            models.CheckConstraint(
                condition=models.Q(to_right="", invitation__isnull=False)
                | (~models.Q(to_right="") & models.Q(invitation__isnull=True)),
                name="notice_has_one_kind_of_reader",
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"], condition=models.Q(finished_at=None), name="notice_waiting"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.subject}"
