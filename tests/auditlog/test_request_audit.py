"""Every API request that names a real key leaves one entry, whatever became of it."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import Account
from apikeys.models import ApiKey
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.keys import bearer, make_key
from tests.roles import as_role

pytestmark = pytest.mark.django_db


NEW_KEY = {"name": "New", "environment": "production", "scopes": ["email:send"]}


class Caller:
    """Calls the API with one key, and looks up what a call left in the log."""

    def __init__(self, account: Account, **rights: Any) -> None:
        self.account = account
        self.key, self.token = make_key(account, **rights)
        self.client = Client(headers=bearer(self.token), raise_request_exception=False)

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = json.dumps(body) if body is not None else ""
        return self.client.generic(
            method, f"/v1{path}", data=data, content_type="application/json", secure=True
        )

    def entries_of(self, response: Any) -> list[Entry]:
        with tenant(self.account.pk):
            return list(Entry.objects.filter(request_id=response["X-Request-Id"]))


@pytest.fixture
def caller(cast: Cast) -> Caller:
    return Caller(cast.hive)


def test_a_read_leaves_an_ordinary_entry(caller: Caller) -> None:
    response = caller.call("GET", "/keys")
    (entry,) = caller.entries_of(response)
    assert (response.status_code, entry.event, entry.outcome) == (200, "api_key.listed", "allowed")
    assert (entry.actor_type, entry.key_id, entry.ordinary_read) == ("key", caller.key.pk, True)
    assert (entry.ip, entry.changes) == ("127.0.0.1", {})


def test_an_action_leaves_its_own_entry_and_no_other(caller: Caller) -> None:
    response = caller.call("POST", "/keys", NEW_KEY)
    assert response.status_code == 201, response.content
    (entry,) = caller.entries_of(response)
    assert (entry.event, entry.outcome, entry.ordinary_read) == (
        "api_key.created",
        "allowed",
        False,
    )


def test_a_read_names_what_was_read(caller: Caller) -> None:
    with tenant(caller.account.pk):
        entry_id = Entry.objects.values_list("id", flat=True)[0]
    (entry,) = caller.entries_of(caller.call("GET", f"/audit-log/{entry_id}"))
    assert (entry.event, entry.target_id) == ("audit_entry.read", str(entry_id))


def test_a_missing_scope_is_recorded(cast: Cast) -> None:
    caller = Caller(cast.hive, scopes=("email:send",))
    response = caller.call("POST", "/keys", {})
    (entry,) = caller.entries_of(response)
    assert (response.status_code, entry.event, entry.outcome) == (
        403,
        "api_key.created",
        "refused",
    )
    assert entry.changes == {
        "reason": "insufficient_scope",
        "name": "insufficient_scope",
        "status": 403,
    }


def test_an_address_outside_the_allowlist_is_recorded(cast: Cast) -> None:
    caller = Caller(cast.hive, allowed_cidrs=("203.0.113.0/24",))
    response = caller.call("GET", "/keys")
    (entry,) = caller.entries_of(response)
    assert (response.status_code, response.json()["name"]) == (403, "ip_not_allowed")
    assert (entry.outcome, entry.ip, entry.changes["reason"]) == (
        "refused",
        "127.0.0.1",
        "ip_not_allowed",
    )


def test_the_owner_learns_the_reason_that_the_caller_does_not(cast: Cast) -> None:
    caller = Caller(cast.hive, expires_at=timezone.now() - timedelta(days=1))
    response = caller.call("GET", "/keys")
    (entry,) = caller.entries_of(response)
    assert (response.status_code, response.json()["name"]) == (401, "invalid_api_key")
    assert (entry.outcome, entry.changes["name"]) == ("refused", "invalid_api_key")
    assert "expired" in entry.changes["reason"]


def test_a_refused_action_leaves_the_refusal_only(caller: Caller) -> None:
    with tenant(caller.account.pk):
        keys = ApiKey.objects.count()
    response = caller.call("POST", "/keys", {"name": "x", "environment": "nowhere"})
    (entry,) = caller.entries_of(response)
    assert (response.status_code, entry.outcome) == (422, "refused")
    with tenant(caller.account.pk):
        assert ApiKey.objects.count() == keys


def test_a_foreign_object_is_recorded_as_a_refusal_of_the_asker(cast: Cast) -> None:
    caller = Caller(cast.wasp)
    hives_key, _ = make_key(cast.hive)
    response = caller.call("GET", f"/keys/{hives_key.pk}")
    (entry,) = caller.entries_of(response)
    assert (response.status_code, entry.outcome, entry.changes["name"]) == (
        404,
        "refused",
        "not_found",
    )


@pytest.mark.urls("tests.auditlog.failing_views")
@pytest.mark.parametrize(
    ("path", "status", "outcome"), [("/fails", 409, "refused"), ("/fails?bug=1", 500, "failed")]
)
def test_what_an_action_recorded_before_it_failed_is_gone(
    caller: Caller, path: str, status: int, outcome: str
) -> None:
    response = caller.call("POST", path)
    (entry,) = caller.entries_of(response)
    assert (response.status_code, entry.event, entry.outcome) == (status, "thing.changed", outcome)


@pytest.mark.urls("tests.auditlog.failing_views")
def test_a_view_that_declares_no_event_is_recorded_all_the_same(caller: Caller) -> None:
    (entry,) = caller.entries_of(caller.call("GET", "/undeclared"))
    assert (entry.event, entry.outcome) == ("api_request.made", "allowed")


@pytest.mark.parametrize("token", ["", "nonsense", "qs_prod_" + "0" * 54])
def test_a_request_that_names_no_key_leaves_nothing(cast: Cast, token: str) -> None:
    before = count_all()
    response = Client(headers=bearer(token)).get("/v1/keys", secure=True)
    assert response.status_code == 401
    assert count_all() == before


def test_without_its_entry_there_is_no_answer(caller: Caller) -> None:
    with as_role("owner"), connection.cursor() as cursor:
        cursor.execute("REVOKE INSERT ON auditlog_entry FROM app")
    response = caller.call("GET", "/keys")
    assert response.status_code == 500
    assert caller.key.name not in response.content.decode()


def test_an_action_whose_entry_cannot_be_written_does_not_happen(caller: Caller) -> None:
    with tenant(caller.account.pk):
        keys = ApiKey.objects.count()
    with as_role("owner"), connection.cursor() as cursor:
        cursor.execute("REVOKE INSERT ON auditlog_entry FROM app")
    assert caller.call("POST", "/keys", NEW_KEY).status_code == 500
    with tenant(caller.account.pk):
        assert ApiKey.objects.count() == keys


def test_nothing_secret_is_in_any_entry(caller: Caller) -> None:
    made = caller.call("POST", "/keys", NEW_KEY).json()["token"]
    caller.call("GET", f"/keys?api_key={made}")
    with as_role("worker"), connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(e::text, ' ') FROM auditlog_entry e")
        everything = cursor.fetchone()[0]
    for secret in (made, caller.token):
        assert secret not in everything
        assert secret[-20:] not in everything


def count_all() -> int:
    with as_role("worker"):
        return Entry.objects.count()
