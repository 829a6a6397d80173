"""The rows of the threat list about the client's address and the allowlist, over HTTP and SMTP."""

import asyncio
import ipaddress
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from apikeys.models import ApiKey
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from sending.mailrooms import Client as SmtpClient
from sending.submission_port import SubmissionMailroom
from tests.apikeys.doors import DOORS, Doors
from tests.apikeys.test_keys_api import BODY, call
from tests.factories.cast import Cast, make_cast
from tests.factories.keys import make_key

doors = Doors()
INSIDE, OUTSIDE, PROXY = "203.0.113.7", "198.51.100.9", "10.0.0.1"
FORGED = (
    *("cf-connecting-ip", "true-client-ip", "x-real-ip", "x-forwarded-for", "forwarded"),
    *("x-client-ip", "x-cluster-client-ip", "cf_connecting_ip", "x_forwarded_for"),
)


@pytest.fixture
def limited(cast: Cast) -> str:
    """A key that may be used from 203.0.113.0/24 only."""
    return make_key(cast.hive, allowed_cidrs=("203.0.113.0/24",))[1]


# N1, N2


@pytest.mark.parametrize("name", [*FORGED, "all"])
def test_a_header_of_the_callers_own_moves_nobody(limited: str, name: str) -> None:
    names = FORGED if name == "all" else (name,)
    headers = {one: f"for={INSIDE}" if one == "forwarded" else INSIDE for one in names}
    answer = doors.over_http(limited, OUTSIDE, **headers)

    assert answer.text.startswith("403 ") and "ip_not_allowed" in answer.text
    assert OUTSIDE in answer.text


@pytest.mark.parametrize(
    ("forwarded_for", "is_in"),
    [
        (f"{INSIDE}, {OUTSIDE}", False),
        (f"{INSIDE}, {OUTSIDE}, 10.0.0.2", False),
        (f"{OUTSIDE}, {INSIDE}", True),
        ("nonsense", False),
        (f"{INSIDE}, nonsense", False),
    ],
)
def test_behind_a_trusted_proxy_the_right_most_stranger_counts(
    limited: str, settings: Any, forwarded_for: str, is_in: bool
) -> None:
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("10.0.0.0/8")]
    answer = doors.over_http(limited, PROXY, **{"x-forwarded-for": forwarded_for})

    assert answer.is_in is is_in


def test_the_other_headers_say_nothing_even_through_a_trusted_proxy(
    limited: str, settings: Any
) -> None:
    """N3: which zone of an edge spoke is the proxy's to prove; we believe one header of it."""
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("10.0.0.0/8")]
    headers = {one: INSIDE for one in FORGED if one not in ("x-forwarded-for", "x_forwarded_for")}
    assert not doors.over_http(limited, PROXY, **headers).is_in


# N6, N13


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("cidr", "address", "is_in"),
    [
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:11.0.0.1", False),
        ("10.0.0.0/8", "::ffff:0a01:0203", True),
        ("10.0.0.0/8", "::10.1.2.3", False),
        ("10.0.0.0/8", "64:ff9b::10.1.2.3", False),
        ("2001:db8::/32", "2001:0DB8:0::1", True),
        ("2001:db8::/32", "fe80::1%eth0", False),
        ("10.0.0.0/8", "", False),
    ],
)
def test_an_address_is_one_however_it_is_written(
    cast: Cast, door: str, cidr: str, address: str, is_in: bool
) -> None:
    _, token = make_key(cast.hive, allowed_cidrs=(cidr,))
    assert doors.present(door, token, address=address).is_in is is_in


@pytest.mark.parametrize("door", DOORS)
def test_a_refusal_by_address_is_in_the_owners_log(cast: Cast, limited: str, door: str) -> None:
    assert not doors.present(door, limited, address=OUTSIDE).is_in

    with tenant(cast.hive.pk):
        [entry] = Entry.objects.filter(outcome="refused")
    assert (entry.changes["reason"], entry.ip) == ("ip_not_allowed", OUTSIDE)


# N7, N9, N11, N12


@pytest.mark.parametrize(
    "cidr",
    [
        *("10.0.0.1/8", "0.0.0.0/0", "::/0", "10.0.0.0/0.0.0.0", "10.0.0.0/0.255.255.255"),
        *("8.0.0.0/7", "2000::/31", "::ffff:0.0.0.0/96"),
        *("010.0.0.1", "0x7f.1", "127.1", "١٢٧.0.0.1", "10.0.0.1 ", "10.0.0.1\n"),
        *("10.0.0.1%eth0", "fe80::1%eth0", "10.0.0.1/33", "10.0.0.0/+8", "10.0.0.0/ 8", "", "/8"),
    ],
)
@pytest.mark.parametrize("how", ["POST", "PATCH"])
def test_what_is_no_careful_range_is_refused(
    client: Client, cast: Cast, cidr: str, how: str
) -> None:
    key, token = make_key(cast.hive), make_key(cast.hive)[1]
    path = "" if how == "POST" else f"/{key[0].pk}"
    body = (BODY if how == "POST" else {}) | {"allowed_cidrs": ["192.0.2.0/24", cidr]}
    response = call(client, how, path, token, body)

    assert response.status_code == 422, response.content
    assert response.json()["errors"][0]["field"] == "allowed_cidrs[1]"


@pytest.mark.parametrize("everything", ["0.0.0.0/0", "::/0"])
def test_everything_is_no_range_even_when_it_is_meant(
    client: Client, cast: Cast, everything: str
) -> None:
    _, token = make_key(cast.hive)
    body = BODY | {"allowed_cidrs": [everything], "allow_wide_cidrs": True}
    assert call(client, "POST", "", token, body).status_code == 422


def test_a_wide_range_is_taken_when_it_is_meant(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive)
    body = BODY | {"allowed_cidrs": ["8.0.0.0/7"]}

    assert call(client, "POST", "", token, body).status_code == 422
    assert call(client, "POST", "", token, body | {"allow_wide_cidrs": True}).status_code == 201


@pytest.mark.parametrize("door", DOORS)
def test_a_list_that_was_emptied_by_hand_opens_to_nobody(cast: Cast, door: str) -> None:
    """The table refuses an empty list; a row that holds one all the same is no genuine row."""
    key, token = make_key(cast.hive, allowed_cidrs=("127.0.0.0/8",))
    with tenant(cast.hive.pk):
        ApiKey.objects.filter(pk=key.pk).update(allowed_cidrs=None)

    assert not doors.present(door, token).is_in


def test_ten_thousand_ranges_are_too_many_and_repeats_are_one(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive)
    many = [f"10.{one // 256}.{one % 256}.0/24" for one in range(10_000)]
    assert call(client, "POST", "", token, BODY | {"allowed_cidrs": many}).status_code == 422

    repeated = ["10.1.0.0/16", "10.1.0.0/16", "10.1.2.0/24"]
    made = call(client, "POST", "", token, BODY | {"allowed_cidrs": repeated}).json()
    assert made["allowed_cidrs"][0] == "10.1.0.0/16"
    assert len(made["allowed_cidrs"]) == len(set(made["allowed_cidrs"]))


# N15


@pytest.fixture
def down(transactional_db: None) -> Iterator[str]:
    """A database that cannot be reached; the token is that of a good key."""
    _, token = make_key(make_cast().hive)
    settings = connection.settings_dict
    host = settings["HOST"]
    connection.close()
    settings["HOST"] = "/nonexistent"
    yield token
    connection.close()
    settings["HOST"] = host


def test_without_the_database_nobody_is_let_in(down: str) -> None:
    client = Client(raise_request_exception=False)
    headers = {"authorization": f"Bearer {down}"}
    read = client.get("/v1/keys", headers=headers)
    sent = client.post("/v1/emails", b"{}", content_type="application/json", headers=headers)

    assert (read.status_code, sent.status_code) == (503, 503)


def test_without_the_database_smtp_is_told_to_come_again(down: str) -> None:
    there = SmtpClient("127.0.0.1", helo="there")
    with ThreadPoolExecutor(1) as threads:
        logging_in = SubmissionMailroom(threads).log_in("resend", down, there)
        reply = asyncio.run(logging_in)

    assert isinstance(reply, str) and reply.startswith("451 ")
