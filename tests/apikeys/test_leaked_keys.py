"""POST /v1/leaked-keys"""

import logging
import time
from collections.abc import Iterable
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apikeys import actions, gate, leak_api, tokens
from apikeys.models import ApiKey, LeakedKey
from apikeys.policy import KeyRecord
from apikeys.tokens import Environment
from auditlog.models import Entry
from queensmtp import ratelimit, valkey
from queensmtp.actors import system_actor
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.keys import bearer, make_key
from tests.factories.webhooks import make_endpoint
from webhooks.models import Delivery

PATH = "/v1/leaked-keys"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leak_api, "ANSWERED_AFTER_SECONDS", 0.0)
    for bucket in valkey.client().keys("rate:leaked-keys*"):
        valkey.client().delete(bucket)


def report(client: Client, *found: str, **more: Any) -> Any:
    return post(client, {"tokens": list(found), **more})


def post(client: Client, body: Any, **headers: str) -> Any:
    return client.post(PATH, orjson.dumps(body), content_type="application/json", headers=headers)


def post_from(client: Client, address: str) -> Any:
    return client.post(PATH, b"{}", content_type="application/json", REMOTE_ADDR=address)


def works(client: Client, token: str) -> bool:
    return bool(client.get("/v1/keys", headers=bearer(token)).status_code == 200)


def entries_of(cast: Cast, event: str = "api_key.leaked") -> list[Entry]:
    with tenant(cast.hive.pk):
        return list(Entry.objects.filter(event=event).order_by("id"))


def test_revokes_a_live_key_at_once_and_needs_no_key_for_it(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive)
    assert works(client, token)

    response = report(client, token, source="a scanner", url="https://paste.example/1")

    assert response.status_code == 200, response.content
    assert response.json() == {"object": "leak_report", "received": 1}
    assert not works(client, token)
    with tenant(cast.hive.pk):
        row = ApiKey.objects.get(pk=key.pk)
        assert (row.status(), row.revoked_reason) == ("revoked", "leaked: a scanner")
        assert LeakedKey.objects.get().key_id == key.pk


def test_the_audit_log_tells_who_reported_it_and_where_it_was(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive)

    report(client, token, source="a scanner", url="https://paste.example/1")

    (entry,) = entries_of(cast)
    assert (entry.actor_type, entry.target_id, entry.outcome) == ("system", str(key.pk), "allowed")
    assert entry.changes["source"] == "a scanner"
    assert entry.changes["url"] == "https://paste.example/1"
    assert entry.changes["reporter"] == "127.0.0.1"
    assert entry.changes["revoked_at"]["before"] is None
    assert entries_of(cast, "api_key.revoked") == []


def test_the_webhook_names_the_key_and_those_it_made(client: Client, cast: Cast) -> None:
    make_endpoint(cast.hive, "https://hooks.hive.example/", events=["api_key.leaked"])
    make_endpoint(cast.wasp, "https://hooks.wasp.example/", events=["api_key.leaked"])
    key, token = make_key(cast.hive)
    child = create_with(client, token)
    grandchild = create_with(client, child["token"])
    make_key(cast.hive)

    report(client, token, source="a scanner")

    with tenant(cast.wasp.pk):
        assert Delivery.objects.count() == 0
    with tenant(cast.hive.pk):
        data = orjson.loads(bytes(Delivery.objects.get().body))["data"]
    assert {name: data[name] for name in ("id", "name", "prefix", "last4", "source", "url")} == {
        "id": str(key.pk),
        "name": key.name,
        "prefix": key.prefix,
        "last4": key.last4,
        "source": "a scanner",
        "url": None,
    }
    assert [one["id"] for one in data["created_keys"]] == [child["id"], grandchild["id"]]
    assert data["created_keys_count"] == 2
    assert entries_of(cast)[0].changes["created_keys"] == [child["id"], grandchild["id"]]
    assert works(client, child["token"])


def create_with(client: Client, token: str) -> Any:
    body = {"name": "Made", "environment": "production", "scopes": ["keys:write", "keys:read"]}
    return client.post(
        "/v1/keys", orjson.dumps(body), content_type="application/json", headers=bearer(token)
    ).json()


def test_reporting_twice_changes_nothing_more(client: Client, cast: Cast) -> None:
    make_endpoint(cast.hive, "https://hooks.hive.example/", events=["api_key.leaked"])
    key, token = make_key(cast.hive)
    report(client, token, source="first")
    with tenant(cast.hive.pk):
        before = ApiKey.objects.filter(pk=key.pk).values().get()

    again = report(client, token, token, source="second")

    assert again.json() == {"object": "leak_report", "received": 2}
    with tenant(cast.hive.pk):
        assert ApiKey.objects.filter(pk=key.pk).values().get() == before
        assert LeakedKey.objects.get().source == "first"
        assert Delivery.objects.count() == 1
    assert len(entries_of(cast)) == 1


def test_two_reports_at_once_revoke_once(
    client: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second is answered between the first one's look-up and its revocation."""
    _, token = make_key(cast.hive)
    look_up = gate.find_records

    def overtaken(public_ids: Iterable[str]) -> dict[str, KeyRecord]:
        records = look_up(public_ids)
        with monkeypatch.context() as patched:
            patched.setattr(gate, "find_records", look_up)
            report(client, token, source="the second")
        return records

    monkeypatch.setattr(gate, "find_records", overtaken)
    response = report(client, token, source="the first")

    assert response.json() == {"object": "leak_report", "received": 1}
    (entry,) = entries_of(cast)
    assert entry.changes["source"] == "the second"


def test_one_report_revokes_keys_of_several_accounts(client: Client, cast: Cast) -> None:
    ours, theirs = make_key(cast.hive)[1], make_key(cast.wasp)[1]

    assert report(client, ours, "no key", theirs).json()["received"] == 3

    assert not works(client, ours)
    assert not works(client, theirs)
    assert len(entries_of(cast)) == 1


def test_space_around_a_key_does_not_save_it(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive)

    report(client, f" {token}\r\n")

    assert not works(client, token)


def test_an_allowlist_does_not_save_a_leaked_key(client: Client, cast: Cast) -> None:
    """Who finds a key is not where its owner is."""
    key, token = make_key(cast.hive, allowed_cidrs=("203.0.113.0/24",))

    report(client, token)

    with tenant(cast.hive.pk):
        assert ApiKey.objects.get(pk=key.pk).status() == "revoked"


def resealed(text: str) -> str:
    return text + tokens.checksum(text)


def other_secret(token: str) -> str:
    """The true public id with another secret, and a good checksum."""
    body = token[:-6]
    return resealed(body[:-1] + ("A" if body[-1] != "A" else "B"))


def other_environment(token: str) -> str:
    return resealed(token[:-6].replace("_prod_", "_stag_"))


def unknown(token: str) -> str:
    return tokens.mint(Environment.PRODUCTION).text


def mistyped(token: str) -> str:
    return token[:-1] + ("A" if token[-1] != "A" else "B")


@pytest.mark.parametrize("forged", [other_secret, other_environment, unknown, mistyped, str.lower])
def test_only_a_full_match_revokes_and_the_answer_is_the_same(
    client: Client, cast: Cast, forged: Any
) -> None:
    _, token = make_key(cast.hive)

    response = report(client, forged(token))

    assert response.status_code == 200
    assert response.content == b'{"object":"leak_report","received":1}'
    assert works(client, token)
    assert entries_of(cast) == []


def test_a_row_changed_without_the_pepper_is_not_made_good(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive)
    with tenant(cast.hive.pk):
        ApiKey.objects.filter(pk=key.pk).update(domains=["evil.example"])

    report(client, token)

    with tenant(cast.hive.pk):
        assert ApiKey.objects.get(pk=key.pk).revoked_at is None
        assert not LeakedKey.objects.exists()


def test_a_key_that_was_revoked_before_is_left_as_it_is(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive)
    with tenant(cast.hive.pk):
        actions.revoke(by=system_actor(cast.hive.pk, "tests"), key=key, reason="left us")

    assert report(client, token).json()["received"] == 1

    with tenant(cast.hive.pk):
        assert ApiKey.objects.get(pk=key.pk).revoked_reason == "left us"
    assert entries_of(cast) == []


def test_without_its_audit_entry_nothing_is_revoked(
    client: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = make_key(cast.hive)

    def fail(**_: Any) -> None:
        raise RuntimeError("the log is full")

    with monkeypatch.context() as patched:
        patched.setattr("apikeys.actions.audit.record", fail)
        with pytest.raises(RuntimeError):
            report(client, token)

    assert works(client, token)
    with tenant(cast.hive.pk):
        assert not LeakedKey.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "tokens"),
        ({"tokens": []}, "tokens"),
        ({"tokens": "qs_prod_x"}, "tokens"),
        ({"tokens": [1]}, "tokens"),
        ({"tokens": ["x"] * 101}, "tokens"),
        ({"tokens": ["x"], "token": "y"}, "token"),
        ({"tokens": ["x"], "source": 1}, "source"),
        ({"tokens": ["x"], "source": "x" * 101}, "source"),
        ({"tokens": ["x"], "source": "a\nb"}, "source"),
        ({"tokens": ["x"], "url": "x" * 2001}, "url"),
        ({"tokens": ["x"], "url": ["https://a.example"]}, "url"),
    ],
)
def test_names_the_field_that_is_wrong(client: Client, db: None, body: Any, field: str) -> None:
    response = post(client, body)

    assert response.status_code == 422, response.content
    assert [one["field"] for one in response.json()["errors"]] == [field]


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"{", b'{"tokens": ["x"], "tokens": ["y"]}'])
def test_refuses_what_is_no_object(client: Client, db: None, body: bytes) -> None:
    assert client.post(PATH, body, content_type="application/json").status_code == 400


def test_refuses_a_body_that_no_report_needs_before_reading_it(client: Client, db: None) -> None:
    assert report(client, "x" * leak_api.BODY_MAXIMUM).status_code == 413


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_takes_reports_only(client: Client, db: None, method: str) -> None:
    assert getattr(client, method)(PATH).status_code == 405


def test_a_key_in_the_header_is_not_looked_at(client: Client, cast: Cast) -> None:
    response = post(client, {"tokens": ["x"]}, authorization="Bearer nonsense")

    assert response.status_code == 200


def test_counts_reports_by_address(
    client: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leak_api, "REPORTS", ratelimit.Limit(2, 60, 2))
    _, token = make_key(cast.hive)
    assert [report(client, "x").status_code for _ in range(2)] == [200, 200]

    refused = report(client, token)

    assert (refused.status_code, refused.json()["name"]) == (429, "rate_limit_exceeded")
    assert int(refused["Retry-After"]) >= 1
    assert works(client, token)
    assert post_from(client, "198.51.100.9").status_code == 422


def test_one_subscribers_addresses_count_as_one(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leak_api, "REPORTS", ratelimit.Limit(1, 60, 1))

    statuses = [
        post_from(client, f"2001:db8:{place}").status_code for place in (":1", ":ffff", "1::1")
    ]

    assert statuses == [422, 429, 422]


def test_a_hundred_tokens_are_looked_up_in_one_query(client: Client, cast: Cast) -> None:
    some = [tokens.mint(Environment.PRODUCTION).text for _ in range(100)]

    with CaptureQueriesContext(connection) as queries:
        assert report(client, *some).json()["received"] == 100

    assert len(queries) == 1


def test_a_hit_takes_no_longer_than_a_miss(
    client: Client, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leak_api, "ANSWERED_AFTER_SECONDS", 0.3)
    _, token = make_key(cast.hive)
    # The very first request of a run loads what the following ones find loaded.
    report(client, "x")

    def seconds(text: str) -> float:
        began = time.monotonic()
        report(client, text)
        return time.monotonic() - began

    miss, hit = seconds(unknown(token)), seconds(token)

    assert not works(client, token)
    assert min(miss, hit) >= 0.3
    assert abs(hit - miss) < 0.15


def test_the_token_is_kept_nowhere(
    client: Client, cast: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the one reported, nor one that stands in the address where it was found."""
    caplog.set_level(logging.DEBUG)
    make_endpoint(cast.hive, "https://hooks.hive.example/", events=["api_key.leaked"])
    (key, token), (_, other) = make_key(cast.hive), make_key(cast.hive)
    url = f"https://search.example/?q={token}&or={other}&secret={token[len(key.prefix) :]}"

    answer = report(client, token, source=f"a file named {token[:70]}", url=url)
    refused = post(client, {"tokens": [token], other: 1})

    assert (answer.status_code, refused.status_code) == (200, 422)
    with tenant(cast.hive.pk):
        kept = [
            *Entry.objects.values(),
            *ApiKey.objects.values(),
            *LeakedKey.objects.values(),
            *(bytes(one.body) for one in Delivery.objects.all()),
        ]
        assert LeakedKey.objects.get().url.startswith(f"https://search.example/?q={key.masked}")
    everything = str([*kept, answer.content, refused.content, caplog.text])
    for secret in (token, other):
        assert secret[len(key.prefix) : -6] not in everything


def test_workers_learn_which_keys_leaked_and_nothing_else(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT array_agg(attname::text) FROM pg_attribute"
            " WHERE attrelid = 'apikeys_leakedkey'::regclass AND attnum > 0"
            " AND has_column_privilege('worker', attrelid, attnum, 'SELECT')"
        )
        assert cursor.fetchone() == (["key_id", "reported_at"],)
