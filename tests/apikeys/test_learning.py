"""A key that learns refuses nobody for an address, and its log says whom it would have refused."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apikeys import actions
from apikeys.models import ApiKey
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from sending import submission_port
from sending.mailrooms import Client as SmtpClient
from sending.mailrooms import LoggedIn
from tests.apikeys.test_console_addresses import page_of, ranges_of, use
from tests.apikeys.test_keys_api import BODY, call
from tests.console import get, post, sign_in, text
from tests.factories.cast import Cast
from tests.factories.keys import bearer, make_key

ELSEWHERE = ("203.0.113.0/24",)


def soon() -> Any:
    return timezone.now() + timedelta(days=7)


def log_of(key: ApiKey) -> list[tuple[str, str, str | None]]:
    with tenant(key.account_id):
        entries = Entry.objects.filter(key_id=key.pk).order_by("id")
        return [(one.event, one.outcome, one.changes.get("would_be_refused")) for one in entries]


def test_over_http_it_is_let_in_and_recorded(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive, allowed_cidrs=ELSEWHERE, learning_until=soon())
    assert client.get("/v1/keys", headers=bearer(token)).status_code == 200
    assert log_of(key) == [("api_key.listed", "allowed", "ip_not_allowed")]


def test_from_inside_the_list_nothing_is_remarked(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive, allowed_cidrs=("127.0.0.0/8",), learning_until=soon())
    assert client.get("/v1/keys", headers=bearer(token)).status_code == 200
    assert log_of(key) == [("api_key.listed", "allowed", None)]


def test_what_the_key_does_says_it_too(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive, allowed_cidrs=ELSEWHERE, learning_until=soon())
    body = {**BODY, "allowed_cidrs": list(ELSEWHERE)}
    assert call(client, "POST", "", token, body).status_code == 201
    assert log_of(key) == [("api_key.created", "allowed", "ip_not_allowed")]


def test_over_smtp_it_logs_in_and_a_refused_message_says_it(cast: Cast) -> None:
    key, token = make_key(cast.hive, allowed_cidrs=ELSEWHERE, learning_until=soon(), scopes=())
    with tenant(cast.hive.pk):
        actions.update(by=cast.alice.actor, key=key, changes={"scopes": ["email:send"]})
    session = SmtpClient("198.51.100.1", helo="client.example")
    assert isinstance(submission_port.log_in("resend", token, session), LoggedIn)
    with tenant(cast.hive.pk):
        actions.update(by=cast.alice.actor, key=key, changes={"scopes": ["email:read"]})
    assert isinstance(submission_port.log_in("resend", token, session), str)
    assert log_of(key) == [("email.submitted", "refused", "ip_not_allowed")]


def test_when_the_time_is_over_the_list_holds_by_itself(client: Client, cast: Cast) -> None:
    over = timezone.now() - timedelta(seconds=1)
    _, token = make_key(cast.hive, allowed_cidrs=ELSEWHERE, learning_until=over)
    answer = client.get("/v1/keys", headers=bearer(token))
    assert (answer.status_code, answer.json()["name"]) == (403, "ip_not_allowed")


def test_the_api_sets_and_ends_it(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive)
    until = soon().isoformat()
    body = {**BODY, "allowed_cidrs": list(ELSEWHERE), "learning_until": until}
    made = call(client, "POST", "", token, body).json()
    assert made["learning_until"] == until
    renamed = call(client, "PATCH", f"/{made['id']}", token, {"name": "Till"}).json()
    assert renamed["learning_until"] == until
    ended = call(client, "PATCH", f"/{made['id']}", token, {"learning_until": None}).json()
    assert ended["learning_until"] is None


@pytest.mark.parametrize(
    ("days", "code"), [(-1, "in_the_past"), (31, "too_late"), (None, "invalid")]
)
def test_no_key_learns_for_ever(client: Client, cast: Cast, days: int | None, code: str) -> None:
    _, token = make_key(cast.hive)
    until = "soon" if days is None else (timezone.now() + timedelta(days=days)).isoformat()
    answer = call(client, "POST", "", token, {**BODY, "learning_until": until})
    assert answer.status_code == 422
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [
        ("learning_until", code)
    ]


def test_a_restricted_key_makes_none_that_learns(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive, allowed_cidrs=("127.0.0.0/8",))
    body = {**BODY, "allowed_cidrs": ["127.0.0.0/8"], "learning_until": soon().isoformat()}
    answer = call(client, "POST", "", token, body)
    assert answer.status_code == 403
    assert [one["field"] for one in answer.json()["errors"]] == ["learning_until"]


def test_a_learning_key_rotates_itself_and_gives_no_longer_lesson(
    client: Client, cast: Cast
) -> None:
    until = soon()
    key, token = make_key(cast.hive, allowed_cidrs=("127.0.0.0/8",), learning_until=until)
    answer = call(client, "POST", f"/{key.pk}/rotate", token, {"overlap_seconds": 60})
    assert answer.status_code == 201, answer.content
    assert answer.json()["learning_until"] == until.isoformat()
    longer = (until + timedelta(seconds=1)).isoformat()
    body = {**BODY, "allowed_cidrs": ["127.0.0.0/8"], "learning_until": longer}
    # Its own end, that of the overlap, is another limit of what it may make.
    body["expires_at"] = (timezone.now() + timedelta(seconds=30)).isoformat()
    assert [one["field"] for one in call(client, "POST", "", token, body).json()["errors"]] == [
        "learning_until"
    ]


def test_the_console_lets_a_key_learn_and_then_enforces_what_it_proposes(cast: Cast) -> None:
    key, token = make_key(cast.hive, allowed_cidrs=ELSEWHERE)
    alice = sign_in(cast.alice.user)
    use(key, ["203.0.113.9"])
    form = {"allowed_cidrs": "203.0.113.0/24", "step": "save"}
    post(alice, page_of(key), {**form, "learning": "7 days"})
    Client().get("/v1/keys", headers=bearer(token))
    page = text(get(alice, page_of(key)))
    assert "This key is learning until" in page
    assert "Of the last 2 requests the list would have refused 1." in page
    proposed = text(get(alice, page_of(key), propose="1"))
    assert "127.0.0.1/32\n203.0.113.9/32</textarea>" in proposed
    post(alice, page_of(key), {"allowed_cidrs": "127.0.0.1\n203.0.113.9", "learning": "now"})
    assert ranges_of(key) == ["127.0.0.1/32", "203.0.113.9/32"]
    with tenant(cast.hive.pk):
        assert not ApiKey.objects.get(pk=key.pk).is_learning
    assert Client().get("/v1/keys", headers=bearer(token)).status_code == 200


def test_a_list_that_is_only_learned_needs_no_confirmation(cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    use(key, ["198.51.100.7"])
    form = {"allowed_cidrs": "203.0.113.0/24", "step": "save", "learning": "1 day"}
    post(sign_in(cast.alice.user), page_of(key), form)
    assert ranges_of(key) == list(ELSEWHERE)
