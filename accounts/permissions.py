from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, cast

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.errors import RightRefused
from accounts.requests import ConsoleRequest
from accounts.roles import Right

P = ParamSpec("P")
ConsoleView = Callable[Concatenate[ConsoleRequest, P], HttpResponse]


def requires_right(right: Right) -> Callable[[ConsoleView[P]], Callable[..., HttpResponse]]:
    """Opens a page only to members whose role has the right; `view.right` names it for tests."""

    def decorate(view: ConsoleView[P]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def checked(http_request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not http_request.user.is_authenticated:
                return redirect_to_login(http_request.get_full_path())
            request = cast(ConsoleRequest, http_request)
            if request.membership is None:
                return render(request, "accounts/no_account.html", status=403)
            if not request.membership.has(right):
                raise RightRefused(right)
            return view(request, *args, **kwargs)

        checked.right = right  # type: ignore[attr-defined]
        return checked

    return decorate
