from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from accounts.stepup import requires_step_up
from apikeys import actions, observed
from apikeys.forms.endings import RevokeForm
from apikeys.views.keys import SECTION, get_key, last_use
from queensmtp.console import requires_right


@require_http_methods(["GET", "HEAD", "POST"])
@requires_right(Right.KEYS_WRITE)
@requires_step_up
def key_revoke(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    """Says what will stop, asks for the name, and then it is done: there is no way back."""
    key = get_key(request, key_id)
    form = RevokeForm(request.POST or None, key=key)
    if request.method == "POST" and form.is_valid():
        is_stopped = form.cleaned_data["cancel_scheduled"]
        reason = form.cleaned_data["reason"]
        actions.revoke(by=request.actor, key=key, reason=reason, cancel_scheduled=is_stopped)
        rest = " What it had scheduled is being canceled." if is_stopped else ""
        messages.success(request, f"{key.name} is revoked. It stopped working at once.{rest}")
        return redirect("key_detail", key_id=key.pk)
    context = {
        "section": SECTION,
        "key": key,
        "form": form,
        "last_use": last_use(key),
        "last_day": observed.last_day(key),
    }
    return render(request, "apikeys/revoke.html", context)
