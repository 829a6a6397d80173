from collections.abc import Callable
from functools import partial
from typing import cast
from uuid import UUID

from allauth.core.exceptions import ImmediateHttpResponse, ReauthenticationRequired
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.audit import Event
from accounts.models import Membership, User
from accounts.people import actor_of, origin_of
from accounts.permissions import check_right
from accounts.requests import ConsoleRequest
from accounts.seats import memberships_of
from accounts.stepup import check_confirmation
from auditlog import actions as auditlog
from queensmtp.actors import Target
from queensmtp.tenancy import tenant

ACCOUNT_SESSION_KEY = "account_id"


class _Undone(Exception):
    """Takes the tenant's transaction back although the error has become a page already."""


class ConsoleTenant:
    """Seats a signed-in person in one of their accounts and runs the request as that tenant.

    Memberships are read on every request, so a removed member or a closed account is out at once.
    The whole request is one transaction of the tenant; an error rolls it back.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, http_request: HttpRequest) -> HttpResponse:
        if not http_request.path.startswith(settings.CONSOLE_PREFIXES):
            return self.get_response(http_request)
        request = cast(ConsoleRequest, http_request)
        _seat(request)
        response = self._answer(request)
        # Pages hold what must not outlive the session: a cached one would show after sign-out.
        response.headers.setdefault("Cache-Control", "no-store, private")
        return response

    def _answer(self, request: ConsoleRequest) -> HttpResponse:
        if request.membership is None:
            return self.get_response(request)
        try:
            with tenant(request.account.pk), timezone.override(request.user.zone):
                response = self.get_response(request)
                if request.has_failed:
                    raise _Undone
        except _Undone:
            if request.refused_right is not None:
                _record_refusal(request)
        return response

    def process_exception(self, http_request: HttpRequest, exception: Exception) -> None:
        request = cast(ConsoleRequest, http_request)
        if getattr(request, "membership", None) is None:
            return
        # These two are answers, not failures.
        request.has_failed = not isinstance(
            exception, ReauthenticationRequired | ImmediateHttpResponse
        )
        request.refused_right = getattr(exception, "right", None)


def _seat(http_request: HttpRequest) -> None:
    request = cast(ConsoleRequest, http_request)
    request.memberships = []
    request.membership = None
    request.refused_right = None
    request.has_failed = False
    request.check_right = partial(check_right, request)
    request.check_confirmation = partial(check_confirmation, request)
    request.is_signed_in = isinstance(http_request.user, User)
    if not request.is_signed_in:
        return
    request.memberships = memberships_of(request.user.pk)
    request.membership = _current(request)
    if request.membership is not None:
        request.account = request.membership.account
        request.actor = actor_of(
            request.user, account_id=request.account.pk, origin=origin_of(request)
        )


def _current(request: ConsoleRequest) -> Membership | None:
    chosen = request.session.get(ACCOUNT_SESSION_KEY)
    for membership in request.memberships:
        if str(membership.account_id) == chosen:
            return membership
    return next(iter(request.memberships), None)


def choose_account(request: ConsoleRequest, account_id: UUID) -> Membership | None:
    """Remembers the account for this session, if the person belongs to it."""
    for membership in request.memberships:
        if membership.account_id == account_id:
            request.session[ACCOUNT_SESSION_KEY] = str(account_id)
            return membership
    return None


def _record_refusal(request: ConsoleRequest) -> None:
    with tenant(request.account.pk):
        auditlog.record(
            by=request.actor,
            event=Event.ACCESS_REFUSED,
            target=Target(type="page", id=request.path),
            outcome="refused",
            changes={"right": str(request.refused_right)},
        )
