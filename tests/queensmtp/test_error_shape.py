"""One error shape everywhere under /v1, also for what no view answers."""

from typing import Any

import pytest
from django.test import Client

from auditlog.models import Entry
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.keys import bearer, make_key

KEYS = {"statusCode", "name", "message", "request_id", "docs_url", "errors"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1", 404),
        ("POST", "/v1/nothing/", 404),
        ("GET", "/v1/emails/not-an-id", 404),
        ("PUT", "/v1/emails", 405),
        ("DELETE", "/v1/keys", 405),
        ("GET", "/v1/emails", 401),
    ],
)
def test_every_refusal_has_the_shape(
    client: Client, cast: Cast, method: str, path: str, status: int
) -> None:
    headers = {} if status == 401 else bearer(make_key(cast.hive)[1])
    response: Any = client.generic(method, path, headers=headers)

    assert response.status_code == status
    assert response["Content-Type"] == "application/json"
    assert set(response.json()) == KEYS
    assert response.json()["statusCode"] == status
    assert response.json()["request_id"] == response["X-Request-Id"]


@pytest.mark.django_db
def test_a_wrong_host_is_400_in_the_shape(client: Client) -> None:
    response = client.get("/v1/emails", headers={"host": "evil.example"})

    assert response.status_code == 400
    assert set(response.json()) == KEYS


def test_a_bug_is_500_in_the_shape_and_says_nothing_of_itself(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("the inside of the machine")

    monkeypatch.setattr("queensmtp.pagination.read_cursor", broken)
    client = Client(raise_request_exception=False)
    response = client.get("/v1/emails", headers=bearer(make_key(cast.hive)[1]))

    assert response.status_code == 500
    assert set(response.json()) == KEYS
    assert "machine" not in response.content.decode()


def test_nothing_under_v1_redirects(client: Client, cast: Cast) -> None:
    headers = bearer(make_key(cast.hive)[1])
    for path in ("/v1/", "/v1/emails/", "/v1//emails", "/v1/keys/", "/v1/nothing/"):
        # Old clients write a slash too many (wire contract 1.2): answered, not led elsewhere.
        assert client.get(path, headers=headers).status_code in (200, 404)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/v1/emails", "GET, HEAD, OPTIONS, POST"),
        ("/v1/emails/batch", "POST, OPTIONS"),
        ("/v1/keys", "GET, POST, HEAD, OPTIONS"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones_and_recorded(
    client: Client, cast: Cast, path: str, allowed: str
) -> None:
    _, token = make_key(cast.hive)
    response = client.put(path, secure=True, headers=bearer(token))
    assert response.status_code == 405
    assert response.headers["Allow"] == allowed
    assert response.json()["message"] == f"This method is not allowed here; use {allowed}."
    with tenant(cast.hive.pk):
        assert Entry.objects.get(outcome="refused").changes["status"] == 405
