"""The one page that shows a token."""

from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.requests import ConsoleRequest
from apikeys.models import ApiKey
from apikeys.tokens import Token
from apikeys.views.keys import SECTION


def reveal(
    request: ConsoleRequest, key: ApiKey, token: Token, predecessor: ApiKey | None = None
) -> HttpResponse:
    """An answer to a POST; it is never stored anywhere."""
    context: dict[str, Any] = {
        "section": SECTION,
        "key": key,
        "token": token.text,
        "predecessor": predecessor,
        "api_url": f"{settings.CONSOLE_URL}/v1",
        # The embedded platform signs its own certificate, which clients must be shown.
        "ca_file": settings.LOCAL_CA_FILE if settings.MODE == "embedded" else "",
    }
    response = render(request, "apikeys/created.html", context)
    response.headers["Cache-Control"] = "no-store, private"
    return response


def already_made(request: HttpRequest) -> HttpResponse:
    """The form was posted again, by a reload or a second click."""
    messages.warning(
        cast(ConsoleRequest, request),
        "This form made its key already. A token is shown once and never again: "
        "if you did not keep it, rotate the key.",
    )
    return redirect("key_list")
