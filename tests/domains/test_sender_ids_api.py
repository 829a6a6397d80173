"""/v1/sender-ids: names and addresses of verified domains. A resource of our own, and strict."""

from typing import Any

import pytest

from auditlog.models import Entry
from queensmtp.tenancy import tenant
from tests.domains.test_domains_api import answer, call
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import make_key

PATH = "/v1/sender-ids"


@pytest.fixture
def token(cast: Cast) -> str:
    make_domain(cast.hive, "hive.example")
    return make_key(cast.hive)[1]


def test_it_is_created_read_changed_and_removed(cast: Cast, token: str) -> None:
    body = {"name": "Hive", "email": "Hello@HIVE.example", "reply_to": "help@hive.example"}
    created = answer("POST", PATH, token, body, status=201)
    assert (created["object"], created["name"]) == ("sender_id", "Hive")
    assert (created["email"], created["reply_to"]) == ("Hello@hive.example", "help@hive.example")
    path = f"{PATH}/{created['id']}"
    assert answer("GET", path, token) == created
    assert answer("GET", PATH, token)["data"] == [created]
    changed = answer("PATCH", path, token, {"name": "The Hive", "reply_to": None})
    assert (changed["name"], changed["reply_to"]) == ("The Hive", None)
    gone = answer("DELETE", path, token)
    assert gone == {"object": "sender_id", "id": created["id"], "deleted": True}
    answer("GET", path, token, status=404)
    with tenant(cast.hive.pk):
        events = Entry.objects.filter(event__startswith="sender_id.").order_by("pk")
        written = [one.event for one in events if one.event.split(".")[1] not in ("read", "listed")]
    assert written == ["sender_id.created", "sender_id.updated", "sender_id.removed"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "email"),
        ({"email": "a@hive.example", "e-mail": 1}, "e-mail"),
        ({"email": "a@wasp.example"}, "email"),
        ({"email": "a@sub.hive.example"}, "email"),
        ({"email": "a@hive.example", "name": "ceo@bank.example"}, "name"),
        ({"email": "a@hive.example", "name": "A\u202eB"}, "name"),
        ({"email": "a@hive.example", "reply_to": "nobody"}, "reply_to"),
        ({"email": "a@hive.example", "name": 7}, "name"),
        ({"email": ["a@hive.example"]}, "email"),
    ],
)
def test_what_is_wrong_is_named(token: str, body: Any, field: str) -> None:
    refused = answer("POST", PATH, token, body, status=422)
    assert refused["errors"][0]["field"] == field


def test_an_address_has_one_identity(token: str) -> None:
    answer("POST", PATH, token, {"email": "a@hive.example"}, status=201)
    refused = answer("POST", PATH, token, {"email": "A@hive.example"}, status=422)
    assert refused["errors"][0]["code"] == "exists"


def test_an_unknown_query_is_refused(token: str) -> None:
    answer("GET", f"{PATH}?page=2", token, status=422)


def test_it_refuses_without_scope_and_charlie_gets_404(cast: Cast, token: str) -> None:
    created = answer("POST", PATH, token, {"email": "a@hive.example"}, status=201)
    _, reader = make_key(cast.hive, scopes=("senderids:read",))
    _, others = make_key(cast.hive, scopes=("domains:write",))
    _, charlies = make_key(cast.wasp)
    one = f"{PATH}/{created['id']}"
    for method in ("GET", "PATCH", "DELETE"):
        assert call(method, one, others, {}).status_code == 403
        assert call(method, one, charlies, {}).status_code == 404
        assert (call(method, one, reader, {}).status_code == 403) == (method != "GET")
    assert call("POST", PATH, reader, {"email": "b@hive.example"}).status_code == 403
