"""What becomes of a member: another role, or none."""

from typing import cast
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from accounts import actions
from accounts.errors import AccountsError
from accounts.forms import RoleForm
from accounts.models import Membership
from accounts.requests import ConsoleRequest
from accounts.roles import Right, Role
from accounts.stepup import requires_step_up
from queensmtp.console import requires_right

SECTION = "people"


@require_http_methods(["GET", "HEAD", "POST"])
@requires_right(Right.MEMBERS_WRITE)
@requires_step_up
def change_role(http_request: HttpRequest, membership_id: UUID) -> HttpResponse:
    request, member = _seated(http_request, membership_id)
    assert request.membership is not None
    form = RoleForm(request.POST or None, initial={"role": member.role}, giver=request.membership)
    if request.method == "POST" and form.is_valid() and _changed(request, member, form):
        return redirect("console_people")
    context = {"section": SECTION, "member": member, "form": form}
    return render(request, "accounts/member.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@requires_right(Right.MEMBERS_WRITE)
@requires_step_up
def remove(http_request: HttpRequest, membership_id: UUID) -> HttpResponse:
    request, member = _seated(http_request, membership_id)
    refusal = None
    if request.method == "POST":
        try:
            actions.remove_member(
                membership=member, by=request.actor, by_membership=request.membership
            )
        except AccountsError as refused:
            refusal = refused
        else:
            messages.success(request, f"{member.user.email} belongs to the account no more.")
            is_leaving = member.user_id == request.user.pk
            return redirect("console_home" if is_leaving else "console_people")
    context = {"section": SECTION, "member": member, "refusal": refusal}
    return render(request, "accounts/member_remove.html", context)


def _seated(http_request: HttpRequest, membership_id: UUID) -> tuple[ConsoleRequest, Membership]:
    request = cast(ConsoleRequest, http_request)
    members = Membership.objects.select_related("user").filter(account=request.account)
    return request, get_object_or_404(members, pk=membership_id)


def _changed(request: ConsoleRequest, member: Membership, form: RoleForm) -> bool:
    role = Role(form.cleaned_data["role"])
    try:
        actions.change_role(
            membership=member, role=role, by=request.actor, by_membership=request.membership
        )
    except AccountsError as refusal:
        form.add_error("role", refusal.message)
        return False
    messages.success(request, f"{member.user.email} is {role.value} now.")
    return True
