"""How a console page says which right opens it.

Pages live in apps that lie below the one that knows people, so the check travels with the
request: the console's middleware puts it there, and a request without it fails closed.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from django.http import HttpRequest, HttpResponse

from queensmtp.actors import Actor


class SeatedRequest(HttpRequest):
    """A console request; `actor` acts for the account that the person has chosen."""

    actor: Actor
    # Answers None when the right is there, or the page that says what to do instead.
    check_right: Callable[[str], HttpResponse | None]
    # Raises what leads to the confirmation of who one is, unless that was just given.
    check_confirmation: Callable[[], None]


P = ParamSpec("P")
Request = TypeVar("Request", bound=SeatedRequest)


def requires_right(
    right: str,
) -> Callable[[Callable[Concatenate[Request, P], HttpResponse]], Callable[..., HttpResponse]]:
    """Open a page only to people whose role has the right; `view.right` names it for the tests."""

    def decorate(
        view: Callable[Concatenate[Request, P], HttpResponse],
    ) -> Callable[..., HttpResponse]:
        @wraps(view)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            seated = cast(Request, request)
            return seated.check_right(right) or view(seated, *args, **kwargs)

        checked.right = right  # type: ignore[attr-defined]
        return checked

    return decorate


def requires_confirmation(
    view: Callable[Concatenate[Request, P], HttpResponse],
) -> Callable[..., HttpResponse]:
    """Ask for the password, a code or a passkey again, as `accounts.stepup` does for its own."""

    @wraps(view)
    def confirmed(request: Request, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        request.check_confirmation()
        return view(request, *args, **kwargs)

    confirmed.steps_up = True  # type: ignore[attr-defined]
    return confirmed
