from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from accounts.stepup import requires_step_up
from apikeys import actions
from apikeys.errors import KeyIsDead, KeyRowChanged
from apikeys.forms.editing import EditForm
from apikeys.views.keys import SECTION, get_key
from queensmtp.console import requires_right


@require_http_methods(["GET", "HEAD", "POST"])
@requires_right(Right.KEYS_WRITE)
@requires_step_up
def key_edit(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = get_key(request, key_id)
    form = EditForm(request.POST or None, key=key)
    if request.method == "POST" and form.is_valid():
        try:
            actions.update(by=request.actor, key=key, changes=form.changes)
        except (KeyIsDead, KeyRowChanged) as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, "Saved. It holds from the next request on.")
            return redirect("key_detail", key_id=key.pk)
    return render(request, "apikeys/edit.html", {"section": SECTION, "key": key, "form": form})
