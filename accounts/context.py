from typing import Any

from django.http import HttpRequest

from accounts.roles import rights_of

THEMES = ("system", "light", "dark")
THEME_COOKIE = "theme"


def console(request: HttpRequest) -> dict[str, Any]:
    """What the frame of every page shows. It asks the database nothing: error pages use it too."""
    membership = getattr(request, "membership", None)
    return {
        "membership": membership,
        "memberships": getattr(request, "memberships", []),
        "account": membership.account if membership else None,
        "rights": rights_of(membership.role) if membership else frozenset(),
        "theme": theme_of(request),
    }


def theme_of(request: HttpRequest) -> str:
    chosen = request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "system"
