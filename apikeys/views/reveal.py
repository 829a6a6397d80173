"""The one page that shows a token."""

from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.requests import ConsoleRequest
from apikeys.models import ApiKey
from apikeys.sending_domains import BELOW
from apikeys.tokens import Token
from apikeys.views.keys import SECTION
from queensmtp.scopes import Scope, granted

LISTS = {
    Scope.EMAIL_READ: "emails",
    Scope.DOMAINS_READ: "domains",
    Scope.KEYS_READ: "keys",
    Scope.AUDIT_READ: "audit-log",
    Scope.SUPPRESSIONS_READ: "suppressions",
    Scope.WEBHOOKS_READ: "webhooks",
    Scope.SENDERIDS_READ: "sender-ids",
}


def reveal(
    request: ConsoleRequest, key: ApiKey, token: Token, predecessor: ApiKey | None = None
) -> HttpResponse:
    """An answer to a POST; it is never stored anywhere."""
    context: dict[str, Any] = {
        "section": SECTION,
        "key": key,
        "token": token.text,
        "predecessor": predecessor,
        "own_domain": next((one for one in key.domains or [] if not one.startswith(BELOW)), None),
        "can_send": Scope.EMAIL_SEND in key.scopes,
        "readable": _readable(key),
        "api_url": f"{settings.CONSOLE_URL}/v1",
        # The embedded platform signs its own certificate, which clients must be shown.
        "ca_file": settings.LOCAL_CA_FILE if settings.MODE == "embedded" else "",
    }
    response = render(request, "apikeys/created.html", context)
    response.headers["Cache-Control"] = "no-store, private"
    return response


def _readable(key: ApiKey) -> str | None:
    """What a key that may not send can be tried on: something that it may list."""
    held = granted(key.scopes)
    return next((path for scope, path in LISTS.items() if scope in held), None)


def already_made(request: HttpRequest) -> HttpResponse:
    """The form was posted again, by a reload or a second click."""
    messages.warning(
        cast(ConsoleRequest, request),
        "This form made its key already. A token is shown once and never again: "
        "if you did not keep it, rotate the key.",
    )
    return redirect("key_list")
