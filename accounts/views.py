from dataclasses import replace
from typing import Any, cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from accounts.audit import Event
from accounts.context import THEME_COOKIE
from accounts.forms import ProfileForm, SwitchAccountForm, ThemeForm
from accounts.middleware import choose_account
from accounts.models import Membership
from accounts.people import actor_of, origin_of
from accounts.requests import ConsoleRequest
from accounts.roles import MEANINGS, RIGHTS, SUMMARIES, Right, Role
from auditlog import actions as auditlog
from queensmtp.actors import Target
from queensmtp.console import requires_right
from queensmtp.tenancy import PLATFORM_ACCOUNT_ID, tenant

ONE_YEAR_SECONDS = 365 * 24 * 3600


@require_safe
@requires_right(Right.MEMBERS_READ)
def people(request: ConsoleRequest) -> HttpResponse:
    rows = [
        (right, MEANINGS[right], [(role, right in RIGHTS[role]) for role in Role])
        for right in Right
    ]
    return render(
        request,
        "accounts/people.html",
        {
            "section": "people",
            "members": _members(request),
            "invitations": request.account.invitations.standing(timezone.now())
            .select_related("invited_by")
            .order_by("-pk"),
            "rows": rows,
            "roles": list(Role),
            "summaries": [(role, SUMMARIES[role]) for role in Role],
        },
    )


def _members(request: ConsoleRequest) -> list[tuple[Membership, bool]]:
    """Each member, and whether the person in front of the page may change them."""
    assert request.membership is not None
    found = Membership.objects.filter(account=request.account).select_related("user")
    return [(one, request.membership.can_give(Role(one.role))) for one in found.order_by("pk")]


@login_required
def profile(http_request: HttpRequest) -> HttpResponse:
    request = cast(ConsoleRequest, http_request)
    form = ProfileForm(request.POST or None, instance=request.user)
    before = {name: form.initial[name] for name in form.fields}
    if request.method == "POST" and form.is_valid():
        form.save()
        _record_profile(request, before, form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("console_profile")
    return render(request, "accounts/profile.html", {"form": form})


@require_POST
@login_required
def switch_account(http_request: HttpRequest) -> HttpResponse:
    request = cast(ConsoleRequest, http_request)
    form = SwitchAccountForm(request.POST)
    membership = choose_account(request, form.cleaned_data["account"]) if form.is_valid() else None
    if membership is None:
        raise Http404("There is no such account.")
    _record_entry(request, membership)
    return redirect("console_home")


def _record_profile(request: ConsoleRequest, before: dict[str, Any], after: dict[str, Any]) -> None:
    changes = {
        name: {"before": before[name], "after": after[name]}
        for name in after
        if before[name] != after[name]
    }
    if changes:
        by = actor_of(
            request.user,
            account_id=request.account.pk if request.membership else PLATFORM_ACCOUNT_ID,
            origin=origin_of(request),
        )
        auditlog.record(by=by, event=Event.PROFILE_CHANGED, changes=changes)


def _record_entry(request: ConsoleRequest, membership: Membership) -> None:
    account = membership.account
    with tenant(account.pk):
        auditlog.record(
            by=replace(request.actor, account_id=account.pk),
            event=Event.ACCOUNT_ENTERED,
            target=Target(type="account", id=str(account.pk), label=account.name),
        )


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    form = ThemeForm(request.POST)
    response = redirect(_page_before(request))
    if form.is_valid():
        response.set_cookie(
            THEME_COOKIE,
            form.cleaned_data["theme"],
            max_age=ONE_YEAR_SECONDS,
            secure=True,
            httponly=True,
            samesite="Lax",
        )
    return response


def _page_before(request: HttpRequest) -> str:
    page = request.POST.get("next", "")
    if url_has_allowed_host_and_scheme(page, {request.get_host()}, require_https=True):
        return page
    return "console_home"
