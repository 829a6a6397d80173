"""Writes what allauth announces into the audit log of every account that the person belongs to.

allauth is a library, so its signals are the seam; our own apps do not use signals.
"""

from typing import Any

from allauth.account import signals as account_signals
from allauth.core import context
from allauth.mfa import signals as mfa_signals
from allauth.mfa.models import Authenticator
from django.db.models.signals import post_delete, post_save
from django.dispatch import receiver
from django.http import HttpRequest

from accounts.audit import Event
from accounts.models import User
from accounts.people import actor_of, origin_of, unknown_person
from accounts.seats import memberships_of
from auditlog import actions as auditlog
from queensmtp.tenancy import PLATFORM_ACCOUNT_ID, tenant


def record_failure(request: HttpRequest, *, email: str) -> None:
    user = User.objects.filter(email=email.strip().lower()).first()
    if user is None:
        _record_unknown(request)
    else:
        _record(request, user, Event.SIGN_IN_FAILED, outcome="failed")


@receiver(account_signals.user_logged_in)
def signed_in(request: HttpRequest, user: User, **_: Any) -> None:
    _record(request, user, Event.SIGNED_IN)


@receiver(account_signals.user_logged_out)
def signed_out(request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is not None:
        _record(request, user, Event.SIGNED_OUT)


@receiver(account_signals.authentication_step_completed)
def identity_confirmed(request: HttpRequest, user: User, method: str, **extra: Any) -> None:
    if extra.get("reauthenticated"):
        _record(request, user, Event.IDENTITY_CONFIRMED, changes={"method": method})


@receiver([account_signals.password_changed, account_signals.password_set])
def password_changed(request: HttpRequest, user: User, **_: Any) -> None:
    _record(request, user, Event.PASSWORD_CHANGED)


@receiver(account_signals.password_reset)
def password_reset(request: HttpRequest, user: User, **_: Any) -> None:
    _record(request, user, Event.PASSWORD_RESET)


# allauth announces authenticators only after the commit; their entries must share the transaction.
@receiver(post_save, sender=Authenticator)
def authenticator_added(instance: Authenticator, created: bool, **_: Any) -> None:
    if not created or context.request is None:
        return
    if instance.type == Authenticator.Type.RECOVERY_CODES:
        _record(context.request, instance.user, Event.RECOVERY_CODES_RENEWED)
    else:
        changes = {"type": str(instance.type)}
        _record(context.request, instance.user, Event.MFA_ADDED, changes=changes)


@receiver(post_save, sender=Authenticator)
def recovery_codes_shown(
    instance: Authenticator, created: bool, update_fields: frozenset[str] | None, **_: Any
) -> None:
    """allauth keeps when they were first shown, in a save of their data alone."""
    is_seen = not created and update_fields == frozenset({"data"})
    if (
        is_seen
        and context.request is not None
        and instance.type == Authenticator.Type.RECOVERY_CODES
    ):
        _record(context.request, instance.user, Event.RECOVERY_CODES_SHOWN)


@receiver(post_delete, sender=Authenticator)
def authenticator_removed(instance: Authenticator, **_: Any) -> None:
    if context.request is None or instance.type == Authenticator.Type.RECOVERY_CODES:
        return
    changes = {"type": str(instance.type)}
    _record(context.request, instance.user, Event.MFA_REMOVED, changes=changes)


@receiver(mfa_signals.authentication_failed)
def mfa_failed(request: HttpRequest, user: User, **_: Any) -> None:
    _record(request, user, Event.MFA_FAILED, outcome="failed")


def _record(
    request: HttpRequest,
    user: User,
    event: Event,
    *,
    outcome: str = "allowed",
    changes: dict[str, Any] | None = None,
) -> None:
    origin = origin_of(request)
    account_ids = [membership.account_id for membership in memberships_of(user.pk)]
    for account_id in account_ids or [PLATFORM_ACCOUNT_ID]:
        actor = actor_of(user, account_id=account_id, origin=origin)
        with tenant(account_id):
            auditlog.record(by=actor, event=event, outcome=outcome, changes=changes)


def _record_unknown(request: HttpRequest) -> None:
    actor = unknown_person(account_id=PLATFORM_ACCOUNT_ID, origin=origin_of(request))
    with tenant(PLATFORM_ACCOUNT_ID):
        auditlog.record(by=actor, event=Event.SIGN_IN_FAILED, outcome="failed")
