"""One form, one key. A ticket is given out with a form and taken back when the key is made.

A reload of the page that shows a new token posts the same form again; its ticket is gone, so no
second key is made and no token is shown. Nothing secret is kept.
"""

import secrets

from django.core.cache import cache
from django.http import HttpRequest

SESSION_KEY = "key_tickets"
KEPT = 20
REMEMBERED_SECONDS = 600


def issue(request: HttpRequest) -> str:
    ticket = secrets.token_urlsafe(16)
    request.session[SESSION_KEY] = [*request.session.get(SESSION_KEY, []), ticket][-KEPT:]
    return ticket


def redeem(request: HttpRequest) -> bool:
    """Whether the posted form still holds a ticket of this session. It is worth one key."""
    tickets = list(request.session.get(SESSION_KEY, []))
    posted = request.POST.get("ticket", "")
    if posted not in tickets:
        return False
    tickets.remove(posted)
    request.session[SESSION_KEY] = tickets
    # Sessions are not locked: of two posts at the same moment, the cache lets one through.
    return cache.add(f"key-ticket:{posted}", 1, timeout=REMEMBERED_SECONDS)
