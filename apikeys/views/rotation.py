from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from accounts.stepup import requires_step_up
from apikeys import actions, tickets
from apikeys.errors import AlreadyRotating, KeyIsDead, KeyRowChanged
from apikeys.forms.endings import RotateForm
from apikeys.views.keys import SECTION, get_key, last_use
from apikeys.views.reveal import already_made, reveal
from queensmtp.console import requires_right


@require_http_methods(["GET", "HEAD", "POST"])
@requires_right(Right.KEYS_WRITE)
@requires_step_up
def key_rotate(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = get_key(request, key_id)
    form = RotateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not tickets.redeem(request):
            return already_made(request)
        try:
            successor, token = actions.rotate(
                by=request.actor, key=key, overlap_seconds=form.overlap_seconds
            )
        except (AlreadyRotating, KeyIsDead, KeyRowChanged) as refusal:
            form.add_error(None, refusal.message)
        else:
            return reveal(request, successor, token, predecessor=get_key(request, key_id))
    context = {
        "section": SECTION,
        "key": key,
        "form": form,
        "ticket": tickets.issue(request),
        "last_use": last_use(key),
    }
    return render(request, "apikeys/rotate.html", context)


@require_POST
@requires_right(Right.KEYS_WRITE)
@requires_step_up
def key_end_overlap(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = actions.end_overlap(by=request.actor, key=get_key(request, key_id))
    messages.success(request, f"The overlap has ended: {key.name} ({key.masked}) is dead.")
    return redirect("key_detail", key_id=key.pk)
