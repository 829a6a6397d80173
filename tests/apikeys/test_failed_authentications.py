"""Gate 1: an address that only fails is sent away with 429; a good key still passes."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from apikeys import tokens
from apikeys.tokens import Environment
from auditlog.models import Entry
from queensmtp import valkey
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.keys import bearer, make_key

LIMIT = 5
UNKNOWN = tokens.mint(Environment.PRODUCTION).text


@pytest.fixture(autouse=True)
def _few_failures(settings: Any) -> Iterator[None]:
    settings.FAILED_AUTHENTICATIONS_PER_MINUTE = LIMIT
    # Without Valkey this process stands for all of them.
    settings.WEB_PROCESSES = 1
    _forget_failures()
    yield
    _forget_failures()


def _forget_failures() -> None:
    if kept := valkey.client().keys("rate:failed-authentication:*"):
        valkey.client().delete(*kept)


@pytest.fixture(params=["valkey", "no valkey"])
def _either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "no valkey":
        monkeypatch.setattr(valkey._Breaker, "closed_until", float("inf"))


def ask(client: Client, token: str | None, address: str = "198.51.100.1") -> Any:
    headers = {} if token is None else bearer(token)
    return client.get("/v1/keys", headers=headers, REMOTE_ADDR=address)


@pytest.mark.usefixtures("_either")
@pytest.mark.parametrize("token", [UNKNOWN, "nonsense", None])
def test_fails_so_often_and_is_then_told_when_to_come_again(
    client: Client, cast: Cast, token: str | None
) -> None:
    answers = [ask(client, token) for _ in range(LIMIT + 2)]

    assert [one.status_code for one in answers] == [401] * LIMIT + [429] * 2
    assert answers[-1].json()["name"] == "rate_limit_exceeded"
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60 / LIMIT


@pytest.mark.usefixtures("_either")
def test_a_good_key_passes_from_the_same_address(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive)
    for _ in range(LIMIT + 1):
        ask(client, UNKNOWN)

    assert ask(client, UNKNOWN).status_code == 429
    assert ask(client, token).status_code == 200


def test_requests_with_a_good_key_count_for_nothing(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive)
    assert {ask(client, token).status_code for _ in range(LIMIT + 2)} == {200}
    assert ask(client, UNKNOWN).status_code == 401


def test_sending_and_reading_share_the_count(client: Client, cast: Cast) -> None:
    for _ in range(LIMIT):
        client.post(
            "/v1/emails",
            {},
            content_type="application/json",
            headers=bearer(UNKNOWN),
            REMOTE_ADDR="198.51.100.1",
        )
    assert ask(client, UNKNOWN).status_code == 429


def test_another_address_is_not_touched(client: Client, cast: Cast) -> None:
    for _ in range(LIMIT + 1):
        ask(client, UNKNOWN)
    assert ask(client, UNKNOWN, "198.51.100.2").status_code == 401


def test_a_whole_64_of_ipv6_is_one_address(client: Client, cast: Cast) -> None:
    for number in range(LIMIT):
        assert ask(client, UNKNOWN, f"2001:db8:0:7::{number:x}").status_code == 401

    assert ask(client, UNKNOWN, "2001:db8:0:7:ffff:ffff:ffff:ffff").status_code == 429
    assert ask(client, UNKNOWN, "2001:db8:0:8::1").status_code == 401


def test_a_mapped_address_is_the_address_it_maps(client: Client, cast: Cast) -> None:
    for _ in range(LIMIT):
        ask(client, UNKNOWN, "::ffff:198.51.100.1")
    assert ask(client, UNKNOWN, "198.51.100.1").status_code == 429


def test_a_header_that_nobody_vouches_for_is_no_way_around(client: Client, cast: Cast) -> None:
    answers = [
        client.get(
            "/v1/keys",
            headers={**bearer(UNKNOWN), "x-forwarded-for": f"192.0.2.{number}"},
            REMOTE_ADDR="198.51.100.1",
        )
        for number in range(LIMIT + 1)
    ]
    assert answers[-1].status_code == 429


def test_the_owner_still_reads_the_true_reason(client: Client, cast: Cast) -> None:
    key, token = make_key(cast.hive, allowed_cidrs=("203.0.113.0/24",))
    answers = [ask(client, token) for _ in range(LIMIT + 1)]
    with tenant(cast.hive.pk):
        reasons = Entry.objects.filter(key_id=key.pk, outcome="refused")
        told = [entry.changes["reason"] for entry in reasons]

    assert [one.status_code for one in answers] == [403] * LIMIT + [429]
    assert told == ["ip_not_allowed"] * (LIMIT + 1)


def test_the_limit_is_600_unless_told_otherwise() -> None:
    from queensmtp import settings as ours

    assert ours.FAILED_AUTHENTICATIONS_PER_MINUTE == 600
