"""The allowlist of a key: tried on what the key really did before it is put in force."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from accounts.stepup import requires_step_up
from apikeys import actions, allowlist, observed
from apikeys.errors import KeyIsDead, KeyRowChanged
from apikeys.forms.addresses import AddressesForm
from apikeys.models import ApiKey
from apikeys.observed import Traffic
from apikeys.views.keys import SECTION, get_key, refused
from queensmtp.console import requires_right


@require_http_methods(["GET", "HEAD", "POST"])
@requires_right(Right.KEYS_WRITE)
@requires_step_up
def key_addresses(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = get_key(request, key_id)
    if request.method != "POST":
        return _page(request, key, AddressesForm(key=key, initial=_initial(request, key)))
    form, newest = AddressesForm(request.POST, key=key), observed.newest(key)
    if not form.is_valid():
        return _page(request, key, form)
    breaks = newest.passed().outside(form.ranges)
    step = request.POST.get("step")
    is_harmless = not breaks.request_count or form.learning_until is not None
    if step == "try" or (step != "confirm" and not is_harmless):
        return _page(request, key, form, rehearsal=newest.outside(form.ranges), breaks=breaks)
    try:
        actions.update(by=request.actor, key=key, changes=form.changes)
    except (KeyIsDead, KeyRowChanged) as refusal:
        form.add_error(None, refusal.message)
        return _page(request, key, form)
    messages.success(request, _what_holds(form))
    return redirect("key_detail", key_id=key.pk)


def _what_holds(form: AddressesForm) -> str:
    if form.ranges is None:
        return "Saved. The key works from everywhere."
    if form.learning_until is None:
        return "The addresses are saved. They hold from the next request on."
    return "The addresses are saved. The key learns first: nobody is refused until then."


def _initial(request: ConsoleRequest, key: ApiKey) -> dict[str, Any]:
    """The list in force, or the one that the key's use proposes."""
    ranges = key.allowed_cidrs or []
    if "propose" in request.GET:
        ranges = proposal(key)
    return {"allowed_cidrs": "\n".join(ranges)}


def proposal(key: ApiKey) -> list[str]:
    """The smallest set of ranges that would let pass what passes now."""
    passed = observed.newest(key, at_most=observed.COUNTED_AT_MOST).passed()
    return allowlist.smallest_cover(one.ip for one in passed.sources if one.ip)


def _page(
    request: ConsoleRequest,
    key: ApiKey,
    form: AddressesForm,
    *,
    rehearsal: Traffic | None = None,
    breaks: Traffic | None = None,
) -> HttpResponse:
    own_address = request.actor.origin.ip
    ranges = form.ranges if rehearsal is not None else key.allowed_cidrs
    context = {
        "section": SECTION,
        "key": key,
        "form": form,
        "own_address": own_address,
        "own_is_outside": ranges is not None and not allowlist.allows(ranges, own_address),
        "newest": observed.newest(key),
        "rehearsal": rehearsal,
        "breaks": breaks,
        "is_proposal": "propose" in request.GET and not form.is_bound,
        "refusals": refused(key, at_most=observed.REFUSALS_SHOWN),
    }
    return render(request, "apikeys/addresses.html", context)
