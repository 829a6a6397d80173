"""/v1/keys"""

from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.test import Client
from django.utils import timezone

from apikeys.models import ApiKey, StoppedKey
from auditlog.models import Entry
from queensmtp.scopes import ALL
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.keys import bearer, make_key

BODY: dict[str, Any] = {
    "name": "Billing",
    "environment": "production",
    "scopes": ["email:send"],
}


def call(client: Client, method: str, path: str, token: str, body: Any = None) -> Any:
    return client.generic(
        method,
        f"/v1/keys{path}",
        data=b"" if body is None else orjson.dumps(body),
        content_type="application/json",
        headers=bearer(token),
    )


@pytest.fixture
def token(cast: Cast) -> str:
    return make_key(cast.hive)[1]


def test_creates_a_key_and_shows_its_token_this_once(
    client: Client, cast: Cast, token: str
) -> None:
    body = BODY | {
        "domains": ["hive.example"],
        "allowed_cidrs": ["203.0.113.0/24"],
        "allowed_recipients": ["@hive.example"],
        "rate_limit": {"requests": 5, "per_seconds": 60},
        "labels": {"client": "Wasp"},
        "notes": "for invoices",
        "expires_at": "2030-01-01T00:00:00Z",
    }
    response = call(client, "POST", "", token, body)
    created = response.json()

    assert response.status_code == 201, response.content
    assert created["token"].startswith("qs_prod_")
    assert response["Cache-Control"] == "no-store"
    assert {name: created[name] for name in body if name != "expires_at"} == {
        name: value for name, value in body.items() if name != "expires_at"
    }
    shown = call(client, "GET", f"/{created['id']}", token).json()
    assert created["token"] not in str(shown)
    assert shown["last4"] == created["token"][-4:]


def test_what_is_left_out_is_no_restriction_and_is_shown_as_such(
    client: Client, cast: Cast, token: str
) -> None:
    created = call(client, "POST", "", token, BODY).json()

    for name in ("domains", "allowed_cidrs", "allowed_recipients", "expires_at", "rate_limit"):
        assert created[name] is None


def test_the_created_key_works(client: Client, cast: Cast, token: str) -> None:
    created = call(client, "POST", "", token, BODY | {"scopes": ["keys:read"]}).json()

    assert call(client, "GET", "", created["token"]).status_code == 200
    assert call(client, "POST", "", created["token"], BODY).status_code == 403


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"environment": "prod"}, "environment"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["email:*"]}, "scopes"),
        ({"scopes": ["EMAIL:SEND"]}, "scopes"),
        ({"scopes": ["email:send", "email:send"]}, "scopes"),
        ({"scopes": "email:send"}, "scopes"),
        ({"domains": []}, "domains"),
        ({"domains": ["Not A Domain"]}, "domains"),
        ({"allowed_cidrs": []}, "allowed_cidrs"),
        ({"allowed_cidrs": ["10.0.0.1/8"]}, "allowed_cidrs[0]"),
        ({"allowed_recipients": ["example.com"]}, "allowed_recipients"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2030-01-01"}, "expires_at"),
        ({"expires_at": 5}, "expires_at"),
        ({"rate_limit": {"requests": 0, "per_seconds": 1}}, "rate_limit"),
        ({"rate_limit": {"requests": True, "per_seconds": 1}}, "rate_limit"),
        ({"rate_limit": 5}, "rate_limit"),
        ({"labels": {"": "x"}}, "labels."),
        ({"labels": {"a": 1}}, "labels.a"),
        ({"alowed_cidrs": ["10.0.0.0/8"]}, "alowed_cidrs"),
        ({"account_id": "x"}, "account_id"),
    ],
)
def test_names_the_field_that_is_wrong(
    client: Client, cast: Cast, token: str, change: dict[str, Any], field: str
) -> None:
    response = call(client, "POST", "", token, BODY | change)

    assert response.status_code == 422, response.content
    assert field in [one["field"] for one in response.json()["errors"]]
    with tenant(cast.hive.pk):
        assert ApiKey.objects.count() == 1


@pytest.mark.parametrize(
    ("own", "wanted", "field"),
    [
        ({"scopes": ("keys:write",)}, {}, "scopes"),
        ({"domains": ("hive.example",)}, {}, "domains"),
        ({"domains": ("hive.example",)}, {"domains": ["other.example"]}, "domains"),
        ({"allowed_cidrs": ("127.0.0.0/24",)}, {}, "allowed_cidrs"),
        (
            {"allowed_cidrs": ("127.0.0.0/24",)},
            {"allowed_cidrs": ["127.0.0.0/16"]},
            "allowed_cidrs",
        ),
        ({"allowed_recipients": ("@hive.example",)}, {}, "allowed_recipients"),
        ({"expires_at": timezone.now() + timedelta(days=1)}, {}, "expires_at"),
        ({"rate_requests": 5, "rate_per_seconds": 60}, {}, "rate_limit"),
        (
            {"rate_requests": 5, "rate_per_seconds": 60},
            {"rate_limit": {"requests": 1, "per_seconds": 1}},
            "rate_limit",
        ),
        ({}, {"environment": "staging"}, "environment"),
    ],
)
def test_a_key_gives_no_more_than_it_has(
    client: Client, cast: Cast, own: dict[str, Any], wanted: dict[str, Any], field: str
) -> None:
    _, token = make_key(cast.hive, **own)

    response = call(client, "POST", "", token, BODY | wanted)

    assert response.status_code == 403, response.content
    assert [one["field"] for one in response.json()["errors"]] == [field]
    with tenant(cast.hive.pk):
        assert ApiKey.objects.count() == 1
        assert Entry.objects.get(event="api_key.created", outcome="refused")


def test_rotating_needs_no_less(client: Client, cast: Cast) -> None:
    strong, _ = make_key(cast.hive)
    _, weak = make_key(cast.hive, scopes=("keys:write",))

    response = call(client, "POST", f"/{strong.pk}/rotate", weak, {"overlap_seconds": 0})

    assert response.status_code == 403


def test_rotates_with_an_overlap(client: Client, cast: Cast, token: str) -> None:
    key, old = make_key(cast.hive)

    response = call(client, "POST", f"/{key.pk}/rotate", token, {"overlap_seconds": 3600})
    new = response.json()

    assert response.status_code == 201
    assert new["replaces"] == str(key.pk)
    assert sorted(new["scopes"]) == sorted(ALL)
    assert call(client, "GET", "", old).status_code == 200
    assert call(client, "GET", "", new["token"]).status_code == 200
    shown = call(client, "GET", f"/{key.pk}", token).json()
    assert (shown["status"], shown["replaced_by"]) == ("rotating", new["id"])

    assert call(client, "POST", f"/{key.pk}/end-overlap", token).status_code == 200
    assert call(client, "GET", "", old).status_code == 401
    assert call(client, "GET", "", new["token"]).status_code == 200


def test_the_overlap_never_outlives_the_old_key(client: Client, cast: Cast, token: str) -> None:
    end = timezone.now() + timedelta(minutes=5)
    key, _ = make_key(cast.hive, expires_at=end)

    call(client, "POST", f"/{key.pk}/rotate", token, {"overlap_seconds": 86_400})

    with tenant(cast.hive.pk):
        assert ApiKey.objects.get(pk=key.pk).overlap_ends_at == end


@pytest.mark.parametrize("seconds", [-1, 2_592_001, "5", None, True])
def test_refuses_an_overlap_that_is_none(
    client: Client, cast: Cast, token: str, seconds: Any
) -> None:
    key, _ = make_key(cast.hive)
    body = {"overlap_seconds": seconds}

    assert call(client, "POST", f"/{key.pk}/rotate", token, body).status_code == 422


def test_rotates_only_once_and_never_a_dead_key(client: Client, cast: Cast, token: str) -> None:
    key, _ = make_key(cast.hive)
    rotate = {"overlap_seconds": 60}
    assert call(client, "POST", f"/{key.pk}/rotate", token, rotate).status_code == 201
    assert call(client, "POST", f"/{key.pk}/rotate", token, rotate).status_code == 409
    dead, _ = make_key(cast.hive)
    call(client, "DELETE", f"/{dead.pk}", token)
    assert call(client, "POST", f"/{dead.pk}/rotate", token, rotate).status_code == 409


def test_revokes_at_once_and_for_good(client: Client, cast: Cast, token: str) -> None:
    key, other = make_key(cast.hive)

    response = call(client, "DELETE", f"/{key.pk}", token)

    assert response.json() == {"object": "key", "id": str(key.pk), "deleted": True}
    assert call(client, "GET", "", other).status_code == 401
    assert call(client, "DELETE", f"/{key.pk}", token).status_code == 200
    with tenant(cast.hive.pk):
        assert Entry.objects.filter(event="api_key.revoked").count() == 2
        assert ApiKey.objects.get(pk=key.pk).revoked_reason == ""


def test_what_a_key_scheduled_may_be_canceled_with_it_or_later(
    client: Client, cast: Cast, token: str
) -> None:
    key, _ = make_key(cast.hive)

    def stopped() -> list[UUID]:
        with tenant(cast.hive.pk):
            return list(StoppedKey.objects.values_list("key_id", flat=True))

    def revoke(query: str) -> int:
        return int(call(client, "DELETE", f"/{key.pk}{query}", token).status_code)

    assert [revoke("?cancel_scheduled=yes"), revoke("?cancel=true")] == [422, 422]
    assert (revoke("?cancel_scheduled=false"), stopped()) == (200, [])
    assert [revoke("?cancel_scheduled=true"), revoke("?cancel_scheduled=true")] == [200, 200]
    assert stopped() == [key.pk]
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="api_key.stopped")
        assert (entry.target_id, entry.actor_type) == (str(key.pk), "key")


def test_charlie_stops_nothing_of_others(client: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    of_charlie = make_key(cast.wasp)[1]
    answer = call(client, "DELETE", f"/{key.pk}?cancel_scheduled=true", of_charlie)
    assert answer.status_code == 404
    with tenant(cast.hive.pk):
        assert not StoppedKey.objects.exists()


def test_changes_what_is_given_and_nothing_else(client: Client, cast: Cast, token: str) -> None:
    key, _ = make_key(cast.hive, allowed_cidrs=("127.0.0.1/32",))

    response = call(client, "PATCH", f"/{key.pk}", token, {"scopes": ["email:send"]})

    assert response.status_code == 200, response.content
    assert response.json()["scopes"] == ["email:send"]
    assert response.json()["allowed_cidrs"] == ["127.0.0.1/32"]
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="api_key.updated")
        assert entry.changes["scopes"]["after"] == ["email:send"]


def test_an_emptied_list_never_opens_a_key(client: Client, cast: Cast, token: str) -> None:
    key, _ = make_key(cast.hive, allowed_cidrs=("127.0.0.1/32",))

    assert call(client, "PATCH", f"/{key.pk}", token, {"allowed_cidrs": []}).status_code == 422


@pytest.mark.parametrize("path", ["/v1/keys", "/v1/api-keys"])
def test_a_key_does_not_revoke_itself(client: Client, cast: Cast, path: str) -> None:
    key, token = make_key(cast.hive)
    response = client.delete(f"{path}/{key.pk}", headers=bearer(token))

    assert response.status_code == 403
    assert response.json()["name"] == "insufficient_scope"
    assert call(client, "GET", "", token).status_code == 200


@pytest.mark.parametrize(
    "wider",
    [
        {"scopes": ("email:send", "keys:write", "keys:read")},
        {"domains": None},
        {"allowed_cidrs": None},
        {"allowed_recipients": None},
        {"expires_at": None},
        {"rate_requests": None, "rate_per_seconds": None},
    ],
    ids=lambda one: next(iter(one)),
)
@pytest.mark.parametrize("how", ["DELETE", "end-overlap", "PATCH", "rotate"])
def test_a_key_ends_and_changes_none_that_may_do_more(
    client: Client, cast: Cast, wider: dict[str, Any], how: str
) -> None:
    own: dict[str, Any] = {
        "scopes": ("keys:write", "keys:read"),
        "domains": ("hive.example",),
        "allowed_cidrs": ("127.0.0.1/32",),
        "allowed_recipients": ("@hive.example",),
        "expires_at": timezone.now() + timedelta(days=9),
        "rate_requests": 5,
        "rate_per_seconds": 60,
    }
    _, narrow = make_key(cast.hive, **own)
    other, _ = make_key(cast.hive, **own | wider)
    equal, _ = make_key(cast.hive, **own)
    body = {"rotate": {"overlap_seconds": 0}, "PATCH": {"notes": "x"}}.get(how)

    def tried(key: ApiKey) -> Any:
        path = f"/{key.pk}" if how in ("DELETE", "PATCH") else f"/{key.pk}/{how}"
        return call(client, how if how in ("DELETE", "PATCH") else "POST", path, narrow, body)

    assert tried(other).status_code == 403
    assert tried(equal).status_code in (200, 201)
    with tenant(cast.hive.pk):
        assert ApiKey.objects.get(pk=other.pk).mac == other.mac


def test_a_key_does_not_change_itself(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive)

    assert call(client, "PATCH", f"/{key.pk}", token, {"notes": "me"}).status_code == 403


def test_lists_newest_first_by_status(client: Client, cast: Cast, token: str) -> None:
    gone, _ = make_key(cast.hive)
    newest, _ = make_key(cast.hive)
    call(client, "DELETE", f"/{gone.pk}", token)

    listed = [one["id"] for one in call(client, "GET", "", token).json()["data"]]
    revoked = [one["id"] for one in call(client, "GET", "?status=revoked", token).json()["data"]]

    assert listed[:2] == [str(newest.pk), str(gone.pk)]
    assert revoked == [str(gone.pk)]
    assert call(client, "GET", "?satus=revoked", token).status_code == 422


def test_lists_the_keys_that_carry_every_label_asked_for(
    client: Client, cast: Cast, token: str
) -> None:
    for labels in ({"unit": "retail"}, {"unit": "retail", "client": "a:b"}, {"unit": "Retail"}):
        call(client, "POST", "", token, BODY | {"labels": labels})
    call(client, "POST", "", make_key(cast.wasp)[1], BODY | {"labels": {"unit": "retail"}})

    def found(query: str) -> list[dict[str, str]]:
        response = call(client, "GET", f"?{query}", token)
        return [one["labels"] for one in response.json()["data"]]

    both = {"unit": "retail", "client": "a:b"}
    assert found("label=unit:retail") == [both, {"unit": "retail"}]
    assert found("label=client:a:b&label=unit:retail&environment=production") == [both]
    assert found("label=unit:wholesale") == found("label=client:retail") == []


@pytest.mark.parametrize("label", ["", "unit", "unit:", ":retail", "1:x", "unit:%00", "u" * 99])
def test_refuses_a_label_that_is_none(client: Client, token: str, label: str) -> None:
    response = call(client, "GET", f"?label={label}&label=unit:retail", token)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "label"


def test_pages_by_cursor(client: Client, cast: Cast, token: str) -> None:
    for _ in range(4):
        make_key(cast.hive)
    seen: list[str] = []
    page = call(client, "GET", "?limit=2", token).json()
    while True:
        seen += [one["id"] for one in page["data"]]
        if not page["has_more"]:
            break
        page = call(client, "GET", f"?limit=2&after={seen[-1]}", token).json()

    assert len(seen) == len(set(seen)) == 5
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "after=x", "after=1&before=1"]
)
def test_refuses_a_bad_cursor(client: Client, cast: Cast, token: str, query: str) -> None:
    assert call(client, "GET", f"?{query}", token).status_code == 422


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PATCH", "", {"notes": "mine"}),
        ("DELETE", "", None),
        ("POST", "/rotate", {"overlap_seconds": 0}),
        ("POST", "/end-overlap", None),
    ],
)
def test_charlie_gets_404(client: Client, cast: Cast, method: str, path: str, body: Any) -> None:
    ours, _ = make_key(cast.hive)
    _, theirs = make_key(cast.wasp)

    response = call(client, method, f"/{ours.pk}{path}", theirs, body)
    missing = call(client, method, f"/01a20033-91d9-76f4-a228-305a4756aa65{path}", theirs, body)

    assert response.status_code == missing.status_code == 404
    assert response.json()["message"] == missing.json()["message"]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [("GET", "", "keys:write"), ("POST", "", "keys:read"), ("DELETE", "/x", "keys:read")],
)
def test_refuses_without_the_scope(
    client: Client, cast: Cast, method: str, path: str, scope: str
) -> None:
    key, token = make_key(cast.hive, scopes=(scope,))

    response = call(client, method, path.replace("x", str(key.pk)), token, BODY)

    assert response.status_code == 403
    assert response.json()["name"] == "insufficient_scope"
