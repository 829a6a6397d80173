import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from allauth.account import app_settings
from allauth.account.authentication import get_authentication_records
from allauth.core.exceptions import ReauthenticationRequired
from django.http import HttpRequest, HttpResponse

from accounts.models import User


def requires_step_up(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Asks for the password, a code or a passkey again unless the person just gave one.

    The sign-in itself counts, for as long as a confirmation does. A form that is posted too late
    is kept by allauth and carried out after the confirmation, so nothing must be typed twice.
    """

    @wraps(view)
    def confirmed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        check_confirmation(request)
        return view(request, *args, **kwargs)

    confirmed.steps_up = True  # type: ignore[attr-defined]
    return confirmed


def check_confirmation(request: HttpRequest) -> None:
    if not is_freshly_confirmed(request):
        raise ReauthenticationRequired


def is_freshly_confirmed(request: HttpRequest) -> bool:
    if not isinstance(request.user, User):
        return False
    records = get_authentication_records(request, request.user)
    if not records:
        return False
    age_seconds = time.time() - records[-1]["at"]
    return bool(0 <= age_seconds < app_settings.REAUTHENTICATION_TIMEOUT)
