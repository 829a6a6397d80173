"""Inviting a person, taking it back, and the page that an invitation's link opens."""

from typing import cast
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts import actions
from accounts.errors import AccountsError
from accounts.forms import InviteForm, NewPersonForm
from accounts.invitations import find_place
from accounts.middleware import choose_account
from accounts.models import Invitation, User
from accounts.people import origin_of
from accounts.requests import ConsoleRequest
from accounts.roles import SUMMARIES, Right, Role
from accounts.seats import memberships_of
from accounts.stepup import requires_step_up
from queensmtp.console import requires_right
from queensmtp.tenancy import tenant

SECTION = "people"


@require_http_methods(["GET", "HEAD", "POST"])
@requires_right(Right.MEMBERS_WRITE)
@requires_step_up
def invite(http_request: HttpRequest) -> HttpResponse:
    request = cast(ConsoleRequest, http_request)
    assert request.membership is not None
    form = InviteForm(request.POST or None, giver=request.membership)
    if request.method == "POST" and form.is_valid() and _invited(request, form):
        return redirect("console_people")
    return render(request, "accounts/invite.html", {"section": SECTION, "form": form})


@require_POST
@requires_right(Right.MEMBERS_WRITE)
def withdraw_invitation(request: ConsoleRequest, invitation_id: UUID) -> HttpResponse:
    found = get_object_or_404(Invitation, account=request.account, pk=invitation_id)
    try:
        actions.withdraw_invitation(invitation=found, by=request.actor)
    except AccountsError as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, f"The invitation of {found.email} is withdrawn.")
    return redirect("console_people")


@require_http_methods(["GET", "HEAD", "POST"])
def invitation(http_request: HttpRequest, token: str) -> HttpResponse:
    """Opened by whoever has the link: it shows the way in, and a POST takes it."""
    request = cast(ConsoleRequest, http_request)
    place = find_place(token)
    if place is None:
        return _gone(request)
    account_id, invitation_id = place
    with tenant(account_id):
        found = (
            Invitation.objects.standing(timezone.now())
            .select_related("account", "invited_by")
            .filter(pk=invitation_id)
            .first()
        )
        if found is None or not found.account.is_active:
            return _gone(request)
        if request.is_signed_in:
            return _accept(request, found)
        return _join(request, found)


def _accept(request: ConsoleRequest, found: Invitation) -> HttpResponse:
    """By somebody who is signed in."""
    if request.method != "POST" or request.user.email != found.email:
        return _page(request, found)
    try:
        actions.accept_invitation(invitation=found, user=request.user, origin=origin_of(request))
    except AccountsError as refusal:
        return _page(request, found, refusal=refusal)
    request.memberships = memberships_of(request.user.pk)
    choose_account(request, found.account_id)
    messages.success(request, f"Welcome to {found.account.name}.")
    return redirect("console_home")


def _join(request: ConsoleRequest, found: Invitation) -> HttpResponse:
    """By somebody who is not: with a new sign-in, or after signing in with the one they have."""
    if User.objects.filter(email=found.email).exists():
        return _page(request, found)
    form = NewPersonForm(request.POST or None, invitation=found)
    if request.method != "POST" or not form.is_valid():
        return _page(request, found, form=form)
    try:
        actions.accept_as_new_person(
            invitation=found,
            name=form.cleaned_data["name"],
            password=form.cleaned_data["password"],
            origin=origin_of(request),
        )
    except AccountsError as refusal:
        return _page(request, found, refusal=refusal)
    messages.success(request, f"You belong to {found.account.name}. Sign in with your password.")
    return redirect("account_login")


def _invited(request: ConsoleRequest, form: InviteForm) -> bool:
    assert request.membership is not None
    email = form.cleaned_data["email"]
    try:
        actions.invite(
            email=email,
            role=Role(form.cleaned_data["role"]),
            by=request.actor,
            by_membership=request.membership,
        )
    except AccountsError as refusal:
        form.add_error("email", refusal.message)
        return False
    messages.success(request, f"An invitation is on its way to {email}.")
    return True


def _page(
    request: ConsoleRequest,
    found: Invitation,
    *,
    form: NewPersonForm | None = None,
    refusal: AccountsError | None = None,
) -> HttpResponse:
    context = {
        "invitation": found,
        "summary": SUMMARIES[Role(found.role)],
        "form": form,
        "refusal": refusal,
        "is_for_this_person": request.is_signed_in and request.user.email == found.email,
    }
    return render(request, "accounts/invitation.html", context, status=409 if refusal else 200)


def _gone(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/invitation_gone.html", status=404)
