"""GET /v1/logs, and the same in the console: the requests of keys, from the audit log."""

import shlex
from typing import Any

import orjson
import pytest
from django.test import Client

from queensmtp.tenancy import tenant
from sending import request_log
from sending.models import Message
from tests.console import get as page_at
from tests.console import sign_in, text
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import bearer, make_key
from tests.sending.test_submission_port import send as send_by_smtp

MAIL = {
    "from": "Hive's <hello@hive.example>",
    "to": "ann@wasp.example",
    "subject": "A",
    "text": "b",
}


@pytest.fixture
def token(cast: Cast) -> str:
    make_domain(cast.hive, "hive.example")
    return make_key(cast.hive)[1]


def call(token: str, method: str, path: str, body: Any = None) -> Any:
    return Client().generic(
        method,
        f"/v1{path}",
        orjson.dumps(body) if body is not None else b"",
        content_type="application/json",
        headers={**bearer(token), "user-agent": "test/1"},
    )


def logs(token: str, query: str = "") -> Any:
    return call(token, "GET", f"/logs{query}").json()


def test_tells_of_each_request_of_a_key(cast: Cast, token: str) -> None:
    email_id = call(token, "POST", "/emails", MAIL).json()["id"]
    call(token, "POST", "/emails", MAIL | {"to": "nobody"})
    call(token, "GET", f"/emails/{email_id}")
    send_by_smtp(token)

    told = [(one["method"], one["endpoint"], one["response_status"]) for one in logs(token)["data"]]

    assert told == [
        ("SMTP", "submission", 250),
        ("GET", f"/emails/{email_id}", 200),
        ("POST", "/emails", 422),
        ("POST", "/emails", 202),
    ]
    assert logs(token)["data"][0]["endpoint"] == "/logs"


def test_shows_one_and_no_body(cast: Cast, token: str) -> None:
    call(token, "POST", "/emails", MAIL)
    first = logs(token)["data"][0]

    one = call(token, "GET", f"/logs/{first['id']}").json()

    assert one == {"object": "log", **first, "request_body": None, "response_body": None}
    assert one["user_agent"] == "test/1"


def test_pages_by_cursor(cast: Cast, token: str) -> None:
    for _ in range(3):
        call(token, "POST", "/emails", MAIL)
    newest = logs(token, "?limit=2")
    assert newest["has_more"] is True
    older = logs(token, f"?after={newest['data'][-1]['id']}")
    assert len(older["data"]) == 1


def test_refuses_without_the_scope_and_charlie_gets_404(cast: Cast, token: str) -> None:
    call(token, "POST", "/emails", MAIL)
    log_id = logs(token)["data"][0]["id"]
    weak = make_key(cast.hive, scopes=("email:read",))[1]
    theirs = make_key(cast.wasp)[1]
    for path in ("/logs", f"/logs/{log_id}"):
        assert call(weak, "GET", path).json()["name"] == "insufficient_scope"
    assert call(theirs, "GET", f"/logs/{log_id}").status_code == 404
    assert log_id not in {one["id"] for one in logs(theirs)["data"]}


def test_the_routes_say_which_call_an_event_is() -> None:
    found = request_log.endpoints()
    assert found["email.canceled"] == ("POST", "/emails/<uuid:email_id>/cancel")
    assert found["email_batch.submitted"] == ("POST", "/emails/batch")
    assert found["email.listed"] == ("GET", "/emails")


def test_the_console_shows_a_request_as_a_command(cast: Cast, token: str) -> None:
    call(token, "POST", "/emails", MAIL)
    call(token, "POST", "/emails", MAIL | {"to": "nobody"})
    alice = sign_in(cast.alice.user)
    with tenant(cast.hive.pk):
        refused, accepted = list(request_log.of_account(cast.hive.pk).order_by("-pk"))
        message = Message.objects.get()

    listed = text(page_at(alice, "/console/requests"))
    assert listed.count("POST /emails") >= 2
    only = text(page_at(alice, "/console/requests", outcome="refused"))
    assert str(refused.pk) in only and str(accepted.pk) not in only

    page = text(page_at(alice, f"/console/requests/{accepted.pk}"))
    assert f"/console/messages/{message.pk}" in page
    with tenant(cast.hive.pk):
        curl = request_log.curl_of(request_log.request_of(accepted), api_url="https://q.example/v1")
    words = shlex.split(curl.replace("\\\n", " "))
    assert words[:4] == ["curl", "-X", "POST", "https://q.example/v1/emails"]
    body = orjson.loads(words[-1])
    assert (body["from"], body["to"], body["text"]) == (message.sender, message.to, "…")
    assert token not in page

    assert "validation_error" in text(page_at(alice, f"/console/requests/{refused.pk}"))


def test_charlie_sees_nothing_of_it(cast: Cast, token: str) -> None:
    call(token, "POST", "/emails", MAIL)
    with tenant(cast.hive.pk):
        entry = request_log.of_account(cast.hive.pk).get()
    charlie = sign_in(cast.charlie.user)
    assert page_at(charlie, f"/console/requests/{entry.pk}").status_code == 404
    assert "No requests yet" in text(page_at(charlie, "/console/requests"))
