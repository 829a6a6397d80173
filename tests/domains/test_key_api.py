"""/v1/api-keys, as Resend's clients call it (wire contract 3)."""

from dataclasses import fields
from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.test import Client
from django.utils import timezone

from apikeys import actions
from apikeys.models import ApiKey
from apikeys.rights import Rights
from apikeys.tokens import Environment
from auditlog.models import Entry
from queensmtp.scopes import Scope
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import bearer, make_key

WRITER = (Scope.EMAIL_SEND, Scope.KEYS_READ, Scope.KEYS_WRITE)


def call(client: Client, method: str, path: str, token: str, body: Any = None) -> Any:
    return client.generic(
        method,
        f"/v1/api-keys{path}",
        data=b"" if body is None else orjson.dumps(body),
        content_type="application/json",
        headers=bearer(token),
    )


def stored(cast: Cast, key_id: str) -> ApiKey:
    with tenant(cast.hive.pk):
        return ApiKey.objects.get(pk=key_id)


@pytest.fixture
def token(cast: Cast) -> str:
    return make_key(cast.hive)[1]


@pytest.fixture
def limited(cast: Cast) -> tuple[ApiKey, str]:
    """A key with a limit of every kind."""
    return make_key(
        cast.hive,
        environment=Environment.STAGING,
        scopes=WRITER,
        domains=("hive.example", "wax.example"),
        allowed_cidrs=("127.0.0.0/8",),
        allowed_recipients=("@wasp.example",),
        expires_at=timezone.now() + timedelta(days=3),
        rate_requests=50,
        rate_per_seconds=10,
    )


def test_answers_an_id_and_the_token_and_nothing_else(client: Client, token: str) -> None:
    response = call(client, "POST", "", token, {"name": "Shop"})

    assert response.status_code == 201, response.content
    assert set(response.json()) == {"id", "token"}
    assert response["Cache-Control"] == "no-store"
    assert client.get("/v1/keys", headers=bearer(response.json()["token"])).status_code == 200


@pytest.mark.parametrize("body", [{}, {"permission": "full_access"}, {"permission": None}])
def test_full_access_means_the_creators_own_rights(
    client: Client, cast: Cast, limited: tuple[ApiKey, str], body: dict[str, Any]
) -> None:
    own, token = limited
    made = stored(cast, call(client, "POST", "", token, {"name": "Twin", **body}).json()["id"])

    assert made.environment == own.environment == "staging"
    for one in fields(Rights):
        assert getattr(made, one.name) == getattr(own, one.name), one.name


def test_sending_access_may_only_send_and_keeps_the_creators_other_limits(
    client: Client, cast: Cast, limited: tuple[ApiKey, str]
) -> None:
    own, token = limited
    body = {"name": "Sender", "permission": "sending_access"}
    made = stored(cast, call(client, "POST", "", token, body).json()["id"])

    assert made.scopes == ["email:send"]
    assert (made.allowed_cidrs, made.domains) == (own.allowed_cidrs, own.domains)
    assert (made.expires_at, made.rate_limit) == (own.expires_at, own.rate_limit)
    assert made.allowed_recipients == own.allowed_recipients


@pytest.mark.parametrize("permission", ["sending_access", "full_access"])
def test_a_domain_narrows_either_permission(
    client: Client, cast: Cast, token: str, permission: str
) -> None:
    domain = make_domain(cast.hive, "hive.example")
    body = {"name": "Sender", "permission": permission, "domain_id": str(domain.pk)}
    made = call(client, "POST", "", token, body)

    assert made.status_code == 201, made.content
    assert stored(cast, made.json()["id"]).domains == ["hive.example"]


def test_refuses_a_domain_that_is_not_ours_like_one_that_does_not_exist(
    client: Client, cast: Cast, token: str
) -> None:
    theirs = str(make_domain(cast.wasp, "wasp.example").pk)
    answers = [
        call(client, "POST", "", token, {"name": "x", "domain_id": domain_id})
        for domain_id in (theirs, "01a20033-91d9-76f4-a228-305a4756aa65", "x", 7, "")
    ]

    assert {one.status_code for one in answers} == {422}
    assert len({one.json()["message"] for one in answers}) == 1
    assert answers[0].json()["errors"][0]["code"] == "unknown_domain"


def test_gives_no_domain_beyond_the_creators_own(
    client: Client, cast: Cast, limited: tuple[ApiKey, str]
) -> None:
    domain = make_domain(cast.hive, "other.example")
    body = {"name": "Wider", "domain_id": str(domain.pk)}
    response = call(client, "POST", "", limited[1], body)

    assert response.status_code == 403
    assert [one["field"] for one in response.json()["errors"]] == ["domains"]


def test_a_key_that_may_not_send_makes_none_that_may(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive, scopes=(Scope.KEYS_WRITE,))
    body = {"name": "Sender", "permission": "sending_access"}
    response = call(client, "POST", "", token, body)

    assert response.status_code == 403
    assert [one["field"] for one in response.json()["errors"]] == ["scopes"]


def test_a_key_in_its_overlap_makes_none_that_outlives_it(
    client: Client, cast: Cast, limited: tuple[ApiKey, str]
) -> None:
    key, token = limited
    with tenant(cast.hive.pk):
        by = cast.alice.actor
        actions.rotate(by=by, key=key, overlap_seconds=60)
        overlap_ends_at = ApiKey.objects.get(pk=key.pk).overlap_ends_at
    made = call(client, "POST", "", token, {"name": "Late"}).json()

    assert stored(cast, made["id"]).expires_at == overlap_ends_at


def test_ignores_fields_that_it_does_not_know(client: Client, cast: Cast, token: str) -> None:
    body = {"name": "Shop", "scopes": ["audit:read"], "environment": "staging", "id": "x"}
    made = call(client, "POST", "", token, body)

    assert made.status_code == 201
    assert stored(cast, made.json()["id"]).environment == "production"


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("body", [{}, {"name": None}, None])
def test_names_the_missing_name(
    client: Client, cast: Cast, token: str, method: str, body: Any
) -> None:
    path = "" if method == "POST" else f"/{make_key(cast.hive)[0].pk}"
    response = call(client, method, path, token, body)

    assert response.status_code == 422
    assert response.json()["name"] == "missing_required_field"
    assert response.json()["message"] == "Missing `name` field."


@pytest.mark.parametrize(
    "wrong", [{"name": 7}, {"name": ""}, {"name": "x" * 101}, {"permission": "admin"}]
)
def test_refuses_a_bad_value(client: Client, token: str, wrong: dict[str, Any]) -> None:
    response = call(client, "POST", "", token, {"name": "Shop", **wrong})
    assert (response.status_code, response.json()["name"]) == (422, "validation_error")


@pytest.mark.parametrize("body", [[], "x", 7])
def test_refuses_a_body_that_is_no_object(client: Client, token: str, body: Any) -> None:
    assert call(client, "POST", "", token, body).status_code == 400


def test_lists_every_key_without_a_limit_and_no_removed_one(
    client: Client, cast: Cast, token: str
) -> None:
    made = [make_key(cast.hive)[0] for _ in range(25)]
    call(client, "DELETE", f"/{made[0].pk}", token)
    listed = call(client, "GET", "?unknown=1", token).json()

    assert (listed["object"], listed["has_more"]) == ("list", False)
    assert len(listed["data"]) == 25
    assert str(made[0].pk) not in {one["id"] for one in listed["data"]}
    assert set(listed["data"][0]) == {"id", "name", "created_at", "last_used_at"}
    # Oldest last: the key that asks, which it did before.
    assert listed["data"][-1]["last_used_at"] is not None
    assert listed["data"][0]["last_used_at"] is None


def test_pages_when_asked(client: Client, cast: Cast, token: str) -> None:
    newest = make_key(cast.hive)[0]
    first = call(client, "GET", "?limit=1", token).json()
    rest = call(client, "GET", f"?after={newest.pk}", token).json()

    assert ([one["id"] for one in first["data"]], first["has_more"]) == ([str(newest.pk)], True)
    assert len(rest["data"]) == 1
    assert call(client, "GET", "?limit=0", token).status_code == 422


def test_renames_a_key(client: Client, cast: Cast, token: str) -> None:
    key, _ = make_key(cast.hive)
    response = call(client, "PATCH", f"/{key.pk}", token, {"name": "New", "id": "ignored"})

    assert response.json() == {"object": "api_key", "id": str(key.pk)}
    assert stored(cast, str(key.pk)).name == "New"


def test_a_key_renames_neither_itself_nor_one_that_may_more(client: Client, cast: Cast) -> None:
    own, token = make_key(cast.hive, scopes=WRITER)
    wider, _ = make_key(cast.hive)

    for key in (own, wider):
        response = call(client, "PATCH", f"/{key.pk}", token, {"name": "New"})
        assert response.status_code == 403
        assert stored(cast, str(key.pk)).name == "Test key"


def test_a_removed_key_is_dead_and_gone(client: Client, cast: Cast, token: str) -> None:
    key, theirs = make_key(cast.hive)
    removed = call(client, "DELETE", f"/{key.pk}", token, {})

    assert removed.json() == {"object": "api_key", "id": str(key.pk), "deleted": True}
    assert client.get("/v1/keys", headers=bearer(theirs)).status_code == 401
    assert call(client, "DELETE", f"/{key.pk}", token).status_code == 404
    assert call(client, "PATCH", f"/{key.pk}", token, {"name": "x"}).status_code == 404


@pytest.mark.parametrize(("method", "body"), [("PATCH", {"name": "x"}), ("DELETE", None)])
def test_charlie_gets_404(client: Client, cast: Cast, method: str, body: Any) -> None:
    ours, _ = make_key(cast.hive)
    _, theirs = make_key(cast.wasp)
    response = call(client, method, f"/{ours.pk}", theirs, body)
    missing = call(client, method, "/01a20033-91d9-76f4-a228-305a4756aa65", theirs, body)

    assert response.status_code == missing.status_code == 404
    assert response.json()["message"] == missing.json()["message"] == "API key not found"
    assert stored(cast, str(ours.pk)).revoked_at is None


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "", Scope.KEYS_WRITE),
        ("POST", "", Scope.KEYS_READ),
        ("PATCH", "/x", Scope.KEYS_READ),
        ("DELETE", "/x", Scope.KEYS_READ),
    ],
)
def test_refuses_without_the_scope(
    client: Client, cast: Cast, method: str, path: str, scope: str
) -> None:
    key, token = make_key(cast.hive, scopes=(scope,))
    response = call(client, method, path.replace("x", str(key.pk)), token, {"name": "x"})

    assert (response.status_code, response.json()["name"]) == (403, "insufficient_scope")


def test_each_change_leaves_one_entry(client: Client, cast: Cast, token: str) -> None:
    made = call(client, "POST", "", token, {"name": "Shop"})
    path = f"/{made.json()['id']}"
    answers = [
        made,
        call(client, "GET", "", token),
        call(client, "PATCH", path, token, {"name": "Store"}),
        call(client, "DELETE", path, token),
        call(client, "DELETE", path, token),
    ]
    with tenant(cast.hive.pk):
        events = [
            Entry.objects.values_list("event", "outcome").get(request_id=one["X-Request-Id"])
            for one in answers
        ]
    assert events == [
        ("api_key.created", "allowed"),
        ("api_key.listed", "allowed"),
        ("api_key.updated", "allowed"),
        ("api_key.revoked", "allowed"),
        ("api_key.revoked", "refused"),
    ]
