"""POST /v1/leaked-keys/github, as GitHub's secret scanning posts it."""

import base64
import json
import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from apikeys import leak_api, tokens
from apikeys.models import LeakedKey
from apikeys.tokens import Environment
from auditlog.models import Entry
from queensmtp import configuration, ratelimit, valkey
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.keys import bearer, make_key

PATH = "/v1/leaked-keys/github"
GITHUB = ec.generate_private_key(ec.SECP256R1())
STRANGER = ec.generate_private_key(ec.SECP256R1())
KEY_ID = "bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c"


@pytest.fixture(autouse=True)
def _keys(settings: Any) -> None:
    settings.GITHUB_SECRET_SCANNING_KEYS = {KEY_ID: GITHUB.public_key()}
    for bucket in valkey.client().keys("rate:leaked-keys*"):
        valkey.client().delete(bucket)


def entry(token: str) -> dict[str, str]:
    return {
        "token": token,
        "type": "queensmtp_api_key",
        "url": "https://github.example/o/r/blob/c/config.py",
        "source": "content",
    }


def signed(body: bytes, *, by: ec.EllipticCurvePrivateKey = GITHUB) -> str:
    return base64.b64encode(by.sign(body, ec.ECDSA(SHA256()))).decode()


def post(client: Client, body: bytes, *, signature: str, key_id: str = KEY_ID) -> Any:
    headers = {
        "Github-Public-Key-Identifier": key_id,
        "Github-Public-Key-Signature": signature,
    }
    return client.post(PATH, body, content_type="application/json", headers=headers)


def report(client: Client, *found: str) -> Any:
    body = json.dumps([entry(token) for token in found]).encode()
    return post(client, body, signature=signed(body))


def works(client: Client, token: str) -> bool:
    return bool(client.get("/v1/keys", headers=bearer(token)).status_code == 200)


def test_a_signed_report_revokes_and_says_where_the_key_was(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive)

    response = report(client, token, tokens.mint(Environment.PRODUCTION).text)

    assert response.status_code == 200, response.content
    assert response.json() == {"object": "leak_report", "received": 2}
    assert not works(client, token)
    with tenant(cast.hive.pk):
        changes = Entry.objects.get(event="api_key.leaked").changes
    assert changes["source"] == "GitHub: content"
    assert changes["url"] == "https://github.example/o/r/blob/c/config.py"


def test_a_replay_is_answered_alike_and_changes_nothing_more(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive)

    first, second = report(client, token), report(client, token)

    assert first.content == second.content
    assert (first.status_code, second.status_code) == (200, 200)
    with tenant(cast.hive.pk):
        assert Entry.objects.filter(event="api_key.leaked").count() == 1
        assert LeakedKey.objects.count() == 1


def of_a_stranger(body: bytes) -> str:
    return signed(body, by=STRANGER)


def of_another_body(body: bytes) -> str:
    return signed(body + b" ")


def cut(body: bytes) -> str:
    return signed(body)[:-8]


def absent(body: bytes) -> str:
    return ""


def not_base64(body: bytes) -> str:
    return "?" * 96


def not_a_signature(body: bytes) -> str:
    return base64.b64encode(bytes(70)).decode()


@pytest.mark.parametrize(
    "forge", [of_a_stranger, of_another_body, cut, absent, not_base64, not_a_signature]
)
def test_refuses_a_bad_signature(client: Client, cast: Cast, forge: Any) -> None:
    _, token = make_key(cast.hive)
    body = json.dumps([entry(token)]).encode()

    response = post(client, body, signature=forge(body))

    assert (response.status_code, response.json()["name"]) == (401, "invalid_signature")
    assert response["WWW-Authenticate"]
    assert works(client, token)


@pytest.mark.parametrize("key_id", ["", "0" * 64, KEY_ID.upper()])
def test_refuses_a_key_that_it_does_not_know(client: Client, cast: Cast, key_id: str) -> None:
    _, token = make_key(cast.hive)
    body = json.dumps([entry(token)]).encode()

    assert post(client, body, signature=signed(body), key_id=key_id).status_code == 401
    assert works(client, token)


def test_refuses_every_report_while_no_key_is_set(
    client: Client, cast: Cast, settings: Any
) -> None:
    settings.GITHUB_SECRET_SCANNING_KEYS = {}

    assert report(client, make_key(cast.hive)[1]).status_code == 401


@pytest.mark.parametrize("body", [b"{}", b"null", b"[", b'"x"', b'[{"token": "x", "token": "y"}]'])
def test_refuses_what_is_signed_and_no_list(client: Client, db: None, body: bytes) -> None:
    assert post(client, body, signature=signed(body)).status_code == 400


def test_an_entry_that_says_nothing_spoils_no_other(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive)
    found = [None, {}, {"token": 5}, {"token": token, "url": 7, "source": "a\0b", "new": []}]
    body = json.dumps(found).encode()

    response = post(client, body, signature=signed(body))

    assert response.json() == {"object": "leak_report", "received": 4}
    assert not works(client, token)


def test_ten_thousand_tokens_are_taken_in_reasonable_time(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive)
    some = [tokens.mint(Environment.PRODUCTION).text for _ in range(9_999)]
    body = json.dumps([entry(one) for one in [*some, token]]).encode()
    signature = signed(body)

    began = time.monotonic()
    response = post(client, body, signature=signature)
    seconds = time.monotonic() - began

    assert response.json() == {"object": "leak_report", "received": 10_000}
    assert not works(client, token)
    assert seconds < 10


def test_counts_reports_by_address(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leak_api, "GITHUB_REPORTS", ratelimit.Limit(1, 60, 1))

    assert [report(client, "x").status_code for _ in range(2)] == [200, 429]


def test_refuses_a_body_that_is_too_large(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leak_api, "GITHUB_BODY_MAXIMUM", 100)

    assert report(client, "x").status_code == 413


def published(key: ec.EllipticCurvePrivateKey, *, current: bool = True) -> dict[str, Any]:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {"key_identifier": KEY_ID, "key": pem.decode(), "is_current": current}


def test_the_setting_takes_what_github_publishes(monkeypatch: pytest.MonkeyPatch) -> None:
    old = {**published(STRANGER, current=False), "key_identifier": "old"}
    text = json.dumps({"public_keys": [published(GITHUB), old]})
    monkeypatch.setenv("KEYS", text)

    keys = configuration.signing_keys("KEYS")

    assert {name: key.public_numbers() for name, key in keys.items()} == {
        KEY_ID: GITHUB.public_key().public_numbers()
    }


def test_the_setting_may_be_absent() -> None:
    assert configuration.signing_keys("KEYS_THAT_NOBODY_SET") == {}


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        "{}",
        '{"public_keys": [{}]}',
        '{"public_keys": [{"key_identifier": "a", "key": "x", "is_current": true}]}',
        json.dumps({"public_keys": [published(ec.generate_private_key(ec.SECP384R1()))]}),
    ],
)
def test_a_setting_that_is_wrong_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("KEYS", text)

    with pytest.raises(ImproperlyConfigured, match="KEYS must hold the JSON"):
        configuration.signing_keys("KEYS")
