"""Threat S24: the 22 cases of espoofer by their numbers, through API, batch and SMTP.

The attacker holds a key for good.example and writes as evil.example, which the same account has
verified too, so that only the key stands in the way. Where a case plays with the envelope, which
only SMTP has, the other doors are given its address as `from`.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.factories.cast import Cast, make_domain
from tests.factories.keys import make_key
from tests.sending.doors import DOORS, GOOD, by_http, by_smtp, raw, stored

EVIL = "admin@evil.example"
ENCODED_EVIL = "=?utf-8?b?PGFkbWluQGV2aWwuZXhhbXBsZT4=?="


@dataclass(frozen=True)
class Case:
    """The raw message and its envelope for SMTP; the fields of a request for the others."""

    headers: tuple[str, ...]
    fields: dict[str, Any] = field(default_factory=lambda: {"from": EVIL})
    envelope: str = GOOD


def in_envelope(address: str) -> Case:
    return Case((f"From: <{EVIL}>",), {"from": address}, address)


def in_signature(tags: str) -> Case:
    signature = {"DKIM-Signature": f"v=1; a=rsa-sha256; {tags}; h=from; bh=; b="}
    headers = (f"DKIM-Signature: {signature['DKIM-Signature']}", f"From: <{EVIL}>")
    return Case(headers, {"from": EVIL, "headers": signature})


def two_names(first: str, second: str, *, value: str = EVIL) -> Case:
    """Two headers of almost one name: the good sender, and the other."""
    return Case(
        (f"{first}: <{GOOD}>", f"{second}: <{value}>"),
        {"from": GOOD, "headers": {second if second != "From" else first: value}},
    )


def in_value(value: str) -> Case:
    return Case((f"From: {value}",), {"from": value})


CASES = {
    "A1 a subdomain that does not exist": in_envelope("any@notexist.evil.example"),
    "A2 an envelope that reads as empty": in_envelope("(any@evil.example"),
    "A3 NUL in a signature": in_signature("d=evil.example; s=s._domainkey.good.example.\x00.any"),
    "A4 a quote in a signature": in_signature("d=evil.example'a.good.example; s=s"),
    "A5 a parenthesis in the envelope": in_envelope("any@evil.example(a.good.example"),
    "A6 a quote in the envelope": in_envelope("any@evil.example'@any.good.example"),
    "A7 a route in the envelope": in_envelope("@evil.example,@any.example:'any@good.example"),
    "A8 two From": two_names("From", "From"),
    "A9 a space before From": two_names(" From", "From"),
    "A10 a space behind From": two_names("From", "From "),
    "A11 a folded From": two_names("From\r\n ", "From"),
    "A12 Sender": two_names("From\r\n ", "Sender"),
    "A13 Resent-From": two_names("From\r\n ", "Resent-From"),
    "A14 several addresses": in_value(f"<{GOOD}>, <{EVIL}>"),
    "A15 an encoded address": in_value(f"{ENCODED_EVIL},<{GOOD}>"),
    "A16 a route": in_value(f"<@good.example,@any.example:{EVIL}>"),
    "A17 a quoted pair": in_value(f"<{EVIL}>\\,<{GOOD}>"),
    "A18 specials": in_value(f"{EVIL},<{GOOD}>"),
    "A19 text behind the address": in_value(f"<{GOOD}>{EVIL}"),
    "C1 two From of one domain": two_names("From", "From", value="ceo@good.example"),
    "C2 two addresses of one domain": in_value(f"<{GOOD}>, <ceo@good.example>"),
    "C3 another's address": in_value(f"<{EVIL}>"),
}


@pytest.fixture
def token(cast: Cast) -> str:
    make_domain(cast.hive, "good.example")
    make_domain(cast.hive, "evil.example")
    return make_key(cast.hive, domains=("good.example",))[1]


def test_there_are_22_cases() -> None:
    assert len(CASES) == 22


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("door", DOORS)
def test_a_case_of_espoofer_sends_nothing(cast: Cast, token: str, door: str, name: str) -> None:
    case = CASES[name]
    if door == "smtp":
        answer = by_smtp(token, raw(*case.headers), sender=case.envelope)
        assert 500 <= answer.code < 600, answer.text
    else:
        answer = by_http(door, token, case.fields)
        assert answer.code in (400, 403, 422), answer.text
    assert stored(cast) == []


@pytest.mark.parametrize("door", DOORS)
def test_the_same_sender_without_a_trick_is_taken(cast: Cast, token: str, door: str) -> None:
    """Without it, a door that refused everything would pass."""
    answer = by_smtp(token, raw(f"From: <{GOOD}>")) if door == "smtp" else by_http(door, token, {})
    assert answer.is_accepted, answer.text
