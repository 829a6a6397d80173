"""The rows of the threat list about keys, over HTTP and SMTP; docs/security.md has the table.

Rows that need a server of their own stand elsewhere: K5 in benchmarks/key_timing.py, K7 in
test_revocation_race.py, K15 in test_canary.py, K16 in test_github_reports.py.
"""

import base64
import random
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.test import Client
from django.urls import resolve
from django.utils import timezone as clock

from accounts.models import Notice
from apikeys import actions, gate, tokens
from apikeys.models import ApiKey
from apikeys.tokens import ALPHABET, Environment
from auditlog.models import Entry
from queensmtp.errors import InvalidApiKey
from queensmtp.scopes import ALL, IMPLIED, PUBLIC, Scope
from queensmtp.tenancy import tenant
from queensmtp.urls import api_urlpatterns
from tests.apikeys.doors import DOORS, Doors
from tests.apikeys.test_keys_api import BODY, call
from tests.apikeys.test_leaked_keys import report
from tests.factories.cast import ORIGIN, Cast
from tests.factories.keys import bearer, make_key

doors = Doors()
UNKNOWN = tokens.mint(Environment.PRODUCTION).text


@pytest.fixture
def token(cast: Cast, settings: Any) -> str:
    settings.FAILED_AUTHENTICATIONS_PER_MINUTE = 1_000_000
    return make_key(cast.hive)[1]


# K1


@pytest.mark.parametrize(
    "header", [None, "", "Basic {basic}", "Bearer", "Token {token}", "Bearer{token}", "{token}"]
)
def test_only_a_bearer_token_opens(client: Client, token: str, header: str | None) -> None:
    basic = base64.b64encode(f"api:{token}".encode()).decode()
    headers = {} if header is None else {"authorization": header.format(token=token, basic=basic)}
    response = client.get("/v1/keys", headers=headers)

    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "BeArEr"])
def test_the_scheme_may_be_written_in_any_case(client: Client, token: str, scheme: str) -> None:
    response = client.get("/v1/keys", headers={"authorization": f"{scheme} {token}"})
    assert response.status_code == 200


def test_two_headers_are_400_and_a_key_in_the_address_is_401(client: Client, token: str) -> None:
    twice = client.get("/v1/keys", headers={"authorization": f"Bearer {token},Bearer {token}"})
    query = client.get(f"/v1/keys?api_key={token}")

    assert (twice.status_code, query.status_code) == (400, 401)
    assert token not in twice.text + query.text


# K2, K3, K4


def test_ten_thousand_single_edits_ask_the_database_nothing(
    token: str, django_assert_num_queries: Any
) -> None:
    chosen = random.Random(7)
    with django_assert_num_queries(0):
        for _ in range(10_000):
            at = chosen.randrange(len(token))
            other = chosen.choice([one for one in ALPHABET + "_-. " if one != token[at]])
            assert tokens.parse(token[:at] + other + token[at + 1 :]) is None


@pytest.mark.parametrize("door", DOORS)
def test_a_single_edit_is_refused_at_the_door_without_a_query(
    token: str, door: str, django_assert_num_queries: Any
) -> None:
    edited = [
        token[:at] + ("a" if token[at] != "a" else "b") + token[at + 1 :] for at in (8, 30, 61)
    ]
    with django_assert_num_queries(0):
        answers = {doors.present(door, one).text for one in edited}
    assert len(answers) == 1
    assert answers == {doors.present(door, UNKNOWN).text}


@pytest.mark.parametrize("door", DOORS)
def test_an_unknown_key_looks_like_any_other_that_is_refused(
    cast: Cast, token: str, door: str
) -> None:
    revoked, revoked_token = make_key(cast.hive)
    with tenant(cast.hive.pk):
        actions.revoke(by=cast.alice.actor, key=revoked)
    wrong = token[:-42] + tokens.mint(Environment.PRODUCTION).text[-42:-6]
    wrong += tokens.checksum(wrong)

    answers = {doors.present(door, one).text for one in (UNKNOWN, revoked_token, wrong, "x")}
    assert len(answers) == 1


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "variant",
    [
        str.swapcase,
        str.upper,
        str.lower,
        lambda text: text.replace("_", "＿"),
        lambda text: "".join(chr(ord(one) + 0xFEE0) for one in text),
        lambda text: text[:-1] + unicodedata.normalize("NFKD", "①") + text[-1:],
        lambda text: text + "\0",
        lambda text: text + "\u200b",
        lambda text: text + "\u00a0",
        lambda text: text.replace("q", "\u0440", 1),
        lambda text: text[:20] + " " + text[20:],
        lambda text: text + text,
    ],
)
def test_a_variant_of_a_key_is_no_key(token: str, door: str, variant: Any) -> None:
    assert not doors.present(door, variant(token)).is_in


def test_only_http_trims_the_spaces_around_a_header(token: str) -> None:
    assert doors.present("http", f" {token} ").is_in
    assert not doors.present("smtp", f" {token}").is_in
    assert not doors.present("smtp", f"{token} ").is_in


# K6


@pytest.mark.parametrize(
    ("expires_in", "lives"),
    [(-timedelta(seconds=1), False), (timedelta(0), False), (timedelta(microseconds=1), True)],
)
def test_the_instant_of_expiry_is_too_late(cast: Cast, expires_in: timedelta, lives: bool) -> None:
    now = clock.now()
    _, token = make_key(cast.hive, expires_at=now + expires_in)
    presented = gate.present(token, origin=ORIGIN, now=now)

    assert (presented.refusal is None) is lives
    if presented.refusal:
        assert isinstance(presented.refusal.error, InvalidApiKey)


@pytest.mark.parametrize("door", DOORS)
def test_an_expired_key_is_refused_at_both_doors(cast: Cast, door: str) -> None:
    _, token = make_key(cast.hive, expires_at=clock.now() - timedelta(seconds=1))
    assert not doors.present(door, token).is_in


def test_one_instant_in_any_notation_is_one_expiry(client: Client, token: str) -> None:
    at = datetime(2030, 6, 1, 12, 0, tzinfo=UTC)
    zones = [UTC, timezone(timedelta(hours=14)), timezone(-timedelta(hours=9, minutes=30))]
    answers = {
        call(
            client, "POST", "", token, BODY | {"expires_at": at.astimezone(zone).isoformat()}
        ).json()["expires_at"]
        for zone in zones
    }
    assert answers == {"2030-06-01T12:00:00+00:00"}


@pytest.mark.parametrize(
    ("expires_at", "status"),
    [("9999-01-01T00:00:00Z", 201), ("2020-01-01T00:00:00Z", 422), ("2030-13-01T00:00:00Z", 422)],
)
def test_an_expiry_may_be_far_and_never_past(
    client: Client, token: str, expires_at: str, status: int
) -> None:
    response = call(client, "POST", "", token, BODY | {"expires_at": expires_at})
    assert response.status_code == status


# K9


def operations() -> list[tuple[str, str, Any]]:
    """Every method of every route, with the scope that it declares."""
    found = []
    for pattern in api_urlpatterns:
        view = getattr(pattern.callback, "view_class", None)
        for method in ("get", "post", "put", "patch", "delete"):
            scope = view.scope_for(method.upper()) if view and hasattr(view, method) else None
            if scope is not None and scope != PUBLIC:
                found.append((method.upper(), _filled(str(pattern.pattern)), scope))
    return found


def also_needed(method: str, path: str) -> tuple[str, ...]:
    """What a few settings of the audit log need beside their scope (ADR 0063)."""
    view = getattr(resolve(path).func, "view_class", None)
    needed = getattr(view, "also_needs", {}).get(method)
    return (needed,) if needed else ()


def _filled(route: str) -> str:
    id = "01997e2c-7d5f-7c31-9d6e-2f1f7a3f9b10"
    return "/v1/" + "/".join(id if part.startswith("<") else part for part in route.split("/"))


def test_every_operation_refuses_all_scopes_but_its_own(client: Client, cast: Cast) -> None:
    told = operations()
    assert len(told) > 20
    for method, path, scope in told:
        granting = {scope, *(one for one, more in IMPLIED.items() if scope in more)}
        others = tuple(sorted(ALL - granting))
        _, token = make_key(cast.hive, scopes=others)
        response = client.generic(
            method, path, data=b"{}", content_type="application/json", headers=bearer(token)
        )
        assert response.status_code == 403, (method, path, response.content)
        assert response.json()["name"] == "insufficient_scope", (method, path)


def test_every_operation_lets_its_own_scope_in(client: Client, cast: Cast) -> None:
    for method, path, scope in operations():
        _, token = make_key(cast.hive, scopes=(scope, *also_needed(method, path)))
        response = client.generic(
            method, path, data=b"[]", content_type="application/json", headers=bearer(token)
        )
        if response.streaming:
            # A file that is not read to its end stays open.
            list(response)
        refused = response.status_code == 403 and response.json()["name"] == "insufficient_scope"
        assert not refused, (method, path, response.content)
        assert response.status_code < 500, (method, path, response.content)


@pytest.mark.parametrize("scope", sorted(ALL - {Scope.EMAIL_SEND}))
def test_no_other_scope_submits_over_smtp(cast: Cast, scope: Scope) -> None:
    _, token = make_key(cast.hive, scopes=(scope,))
    assert doors.present("smtp", token).text.startswith("535 ")


# K10


@pytest.mark.parametrize(
    "scopes",
    [
        *(["email:sends"], ["email:*"], ["EMAIL:SEND"], ["email"], ["*"], [""], ["email:send "]),
        *(["email:send", "email:send"], ["keys:write", "root"], ["email：send"]),
    ],
)
def test_a_scope_is_one_of_the_list_or_none(client: Client, token: str, scopes: list[str]) -> None:
    response = call(client, "POST", "", token, BODY | {"scopes": scopes})
    assert response.status_code == 422
    assert {one["field"] for one in response.json()["errors"]} == {"scopes"}


# K13, K17


def test_nothing_shows_a_secret_or_a_digest_again(client: Client, cast: Cast, token: str) -> None:
    made = call(client, "POST", "", token, BODY).json()
    with tenant(cast.hive.pk):
        row = ApiKey.objects.get(pk=made["id"])
    secret = made["token"][-42:-6]
    hidden = [secret, *_spellings(bytes(row.digest))]

    path = f"/{made['id']}"
    answers = [
        call(client, "GET", path, token).text,
        call(client, "GET", "", token).text,
        call(client, "PATCH", path, token, {"name": "new"}).text,
        call(client, "PATCH", path, token, {"name": 5}).text,
        call(client, "GET", f"{path}/usage", token).text,
        client.get(f"/v1/audit-log?target={made['id']}", headers=bearer(token)).text,
        client.get("/v1/api-keys", headers=bearer(token)).text,
        call(client, "GET", path, made["token"]).text,
        call(client, "DELETE", path, token).text,
    ]

    assert made["last4"] in answers[0] and made["prefix"] in answers[0]
    assert [one for one in hidden for answer in answers if one in answer] == []


def _spellings(digest: bytes) -> list[str]:
    return [digest.hex(), base64.b64encode(digest).decode(), base64.b32encode(digest).decode()]


@pytest.mark.parametrize("door", DOORS)
def test_what_is_stored_opens_nothing(cast: Cast, door: str) -> None:
    key, token = make_key(cast.hive)
    digest, mac = bytes(key.digest), bytes(key.mac)
    stored = [*_spellings(digest), *_spellings(mac), key.public_id, key.prefix, key.masked]
    for text in stored:
        assert not doors.present(door, text).is_in
    # Even as the secret of a well-formed token.
    body = token[:20] + (digest.hex() * 2)[: len(token) - 26]
    assert not doors.present(door, body + tokens.checksum(body)).is_in


# K16, beside test_github_reports.py


def test_a_second_report_sends_no_second_mail(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive)
    for _ in range(3):
        report(client, token, source="a scanner", url="https://paste.example/1")

    with tenant(cast.hive.pk):
        [notice] = Notice.objects.filter(kind="api_key.leaked")
    assert notice.to_right == "account:write"
    assert key.masked in notice.text and "https://paste.example/1" in notice.text
    assert token not in notice.subject + notice.text


def test_the_mail_about_a_leak_lists_the_keys_that_it_made(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive)
    made = call(client, "POST", "", token, BODY | {"name": "Second stage"}).json()

    report(client, token)

    with tenant(cast.hive.pk):
        [notice] = Notice.objects.filter(kind="api_key.leaked")
    assert f"Second stage ({made['prefix']}…{made['last4']})" in notice.text


# K19


@pytest.mark.parametrize("seconds", [0, 1, 86_400])
def test_an_overlap_ends_to_the_second_and_some_key_always_lives(cast: Cast, seconds: int) -> None:
    old, old_token = make_key(cast.hive)
    with tenant(cast.hive.pk):
        _, new_token = actions.rotate(by=cast.alice.actor, key=old, overlap_seconds=seconds)
        end = ApiKey.objects.get(pk=old.pk).overlap_ends_at
    assert end is not None

    def lives(token: str, at: datetime) -> bool:
        return gate.present(token, origin=ORIGIN, now=at).refusal is None

    tick = timedelta(microseconds=1)
    assert [lives(old_token, at) for at in (end - tick, end, end + tick)] == [True, False, False]
    assert all(lives(new_token.text, at) for at in (end - tick, end, end + tick))


@pytest.mark.parametrize("door", DOORS)
def test_an_overlap_of_nothing_ends_the_old_key_at_once(cast: Cast, door: str) -> None:
    old, old_token = make_key(cast.hive)
    with tenant(cast.hive.pk):
        _, new_token = actions.rotate(by=cast.alice.actor, key=old, overlap_seconds=0)

    assert not doors.present(door, old_token).is_in
    assert doors.present(door, new_token.text).is_in


def test_a_rotation_that_fails_half_way_leaves_the_old_key_as_it_was(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, token = make_key(cast.hive)
    monkeypatch.setattr(actions, "announce", lambda *_, **__: 1 / 0)
    with tenant(cast.hive.pk), pytest.raises(ZeroDivisionError):
        actions.rotate(by=cast.alice.actor, key=old, overlap_seconds=0)

    assert gate.present(token, origin=ORIGIN).refusal is None
    with tenant(cast.hive.pk):
        assert ApiKey.objects.count() == 1
        assert not Entry.objects.filter(event="api_key.rotated").exists()
