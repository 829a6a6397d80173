"""From a key that was found somewhere to what it did."""

from urllib.parse import urlencode

from django.conf import settings
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from apikeys import tokens
from apikeys.forms.tracing import Named, TraceForm
from apikeys.models import ApiKey
from queensmtp.console import requires_right

NOT_FOUND = "No key of this account has this id. It may belong to another account, or to none."
NOT_GENUINE = (
    "This is not the key itself: somebody knew the id of {name}, but the secret is another. "
    "This is what the true one did."
)


# No step-up: the form would be kept in the session meanwhile, and the secret with it.
@require_http_methods(["GET", "HEAD", "POST"])
@sensitive_post_parameters("key")
@requires_right(Right.AUDIT_READ)
def key_trace(request: ConsoleRequest) -> HttpResponse:
    form = TraceForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return _page(request, form)
    key = _find(request, form.named)
    if key is None:
        form.add_error("key", NOT_FOUND)
        return _page(request, form)
    if form.named.token is not None and not _is_genuine(key, form.named.token):
        messages.warning(request, NOT_GENUINE.format(name=key.name))
    query = urlencode({"key_id": str(key.pk), "reads": "true"})
    return redirect(f"{reverse('audit_list')}?{query}")


def _page(request: ConsoleRequest, form: TraceForm) -> HttpResponse:
    return render(request, "apikeys/trace.html", {"section": "audit", "form": form})


def _find(request: ConsoleRequest, named: Named) -> ApiKey | None:
    keys = ApiKey.objects.filter(account=request.account)
    if named.key_id is not None:
        return keys.filter(pk=named.key_id).first()
    return keys.filter(public_id=named.public_id).first()


def _is_genuine(key: ApiKey, token: tokens.Token) -> bool:
    pepper = dict(settings.KEY_PEPPERS).get(key.pepper_version)
    if pepper is None:
        return False
    return tokens.same(tokens.digest(token, pepper=pepper), bytes(key.digest))
