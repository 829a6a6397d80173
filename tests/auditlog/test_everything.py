"""Every route of the API leaves an entry for a request with a key, whatever becomes of it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern

from auditlog.audit import Event, events
from auditlog.models import Entry
from queensmtp.ids import new_id
from queensmtp.scopes import PUBLIC, Scope
from queensmtp.tenancy import tenant
from queensmtp.urls import api_urlpatterns
from tests.factories.cast import Cast
from tests.factories.keys import bearer, make_key

pytestmark = pytest.mark.django_db

METHODS = ("get", "post", "put", "patch", "delete")


def routes() -> Iterator[tuple[str, str, Any]]:
    for pattern in api_urlpatterns:
        assert isinstance(pattern, URLPattern)
        view = getattr(pattern.callback, "view_class", None)
        for method in METHODS:
            if view is None or hasattr(view, method):
                yield method, str(pattern.pattern), view


def is_public(method: str, view: Any) -> bool:
    return view is not None and view.scope_for(method.upper()) == PUBLIC


ROUTES = [(method, path) for method, path, view in routes() if not is_public(method, view)]


def test_there_are_routes_of_every_app() -> None:
    subjects = {path.partition("/")[0] for _, path in ROUTES}
    assert {"keys", "emails", "webhooks", "audit-log", "domains"} <= subjects
    assert len(ROUTES) > 40


def test_every_route_leaves_an_entry_when_it_is_allowed_and_when_it_is_refused(
    cast: Cast,
) -> None:
    _, able = make_key(cast.hive, scopes=tuple(Scope))
    _, unable = make_key(cast.hive, scopes=("reports:read",))
    silent, asked = [], 0
    for method, route in ROUTES:
        path = "/v1/" + re.sub(r"<[^>]+>", lambda _: str(new_id()), route)
        for token in (able, unable):
            call = getattr(Client(headers=bearer(token)), method)
            answer = call(path, {}, secure=True, **_json(method))
            assert answer.status_code < 500, (method, path)
            # There is no such method, and the plain views say so before they ask who calls.
            if answer.status_code == 405:
                continue
            asked += 1
            if answer.streaming:
                # A file that is not read to its end stays open.
                list(answer)
            if not entries_of(cast, answer["X-Request-Id"]):
                silent.append((method, route, answer.status_code))
    assert not silent
    assert asked > 100


def _json(method: str) -> dict[str, str]:
    return {} if method == "get" else {"content_type": "application/json"}


def entries_of(cast: Cast, request_id: str) -> list[str]:
    with tenant(cast.hive.pk):
        found = Entry.objects.filter(request_id=request_id)
        names = list(found.values_list("event", flat=True))
    assert set(names) <= events().keys(), "the list of events is closed"
    return names


def test_every_route_says_which_event_it_is() -> None:
    """`api_request.made` is for what nobody thought of."""
    nameless = [
        (method, path)
        for method, path, view in routes()
        if view is not None
        and not is_public(method, view)
        and hasattr(view, "audit_events")
        and view.audit_events.get(method.upper()) in (None, Event.REQUEST_MADE)
    ]
    assert not nameless
