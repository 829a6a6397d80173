"""Nothing that a key makes, changes or rotates may do more than the key itself."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from apikeys import rights
from apikeys.rights import Rights
from queensmtp.scopes import Scope
from tests.apikeys.test_grant_rule import NOW, make_record

CREATOR = make_record(
    scopes=(Scope.KEYS_WRITE, Scope.TEMPLATES_RW),
    domains=("a.example", "b.example"),
    allowed_cidrs=("203.0.113.0/24", "2001:db8::/32"),
    allowed_recipients=("@a.example",),
    expires_at=NOW + timedelta(days=30),
    rate_requests=100,
    rate_per_seconds=10,
    daily_quota=1_000,
)
EQUAL = Rights(
    scopes=(Scope.KEYS_WRITE, Scope.TEMPLATES_READ),
    domains=("a.example",),
    allowed_cidrs=("203.0.113.128/25",),
    allowed_recipients=("@a.example",),
    expires_at=NOW + timedelta(days=30),
    rate_requests=50,
    rate_per_seconds=10,
    daily_quota=1_000,
)


def exceeded(wanted: Rights) -> list[str]:
    return [one.field for one in rights.above_ceiling(wanted, CREATOR)]


def test_equal_or_narrower_rights_may_be_given() -> None:
    assert exceeded(EQUAL) == []


def test_one_address_of_an_allowed_domain_is_narrower() -> None:
    assert exceeded(replace(EQUAL, allowed_recipients=("ann@a.example",))) == []


@pytest.mark.parametrize(
    ("name", "wider"),
    [
        ("scopes", {"scopes": (Scope.EMAIL_SEND,)}),
        ("domains", {"domains": ("a.example", "c.example")}),
        ("domains", {"domains": None}),
        ("allowed_recipients", {"allowed_recipients": ("@a.example", "ann@b.example")}),
        ("allowed_recipients", {"allowed_recipients": None}),
        ("allowed_recipients", {"allowed_recipients": ("ann@sub.a.example",)}),
        ("allowed_cidrs", {"allowed_cidrs": ("203.0.112.0/23",)}),
        ("allowed_cidrs", {"allowed_cidrs": ("203.0.113.0/24", "198.51.100.1/32")}),
        ("allowed_cidrs", {"allowed_cidrs": None}),
        ("expires_at", {"expires_at": NOW + timedelta(days=30, microseconds=1)}),
        ("expires_at", {"expires_at": None}),
        ("rate_limit", {"rate_requests": 51, "rate_per_seconds": 5}),
        ("rate_limit", {"rate_requests": 101, "rate_per_seconds": 1_000}),
        ("rate_limit", {"rate_requests": None, "rate_per_seconds": None}),
        ("daily_quota", {"daily_quota": 1_001}),
        ("daily_quota", {"daily_quota": None}),
    ],
)
def test_a_wider_right_is_named(name: str, wider: dict[str, Any]) -> None:
    assert exceeded(replace(EQUAL, **wider)) == [name]


def test_a_key_in_its_overlap_gives_nothing_beyond_the_overlap() -> None:
    ending = replace(CREATOR, overlap_ends_at=NOW + timedelta(days=1))
    assert [one.field for one in rights.above_ceiling(EQUAL, ending)] == ["expires_at"]


def test_an_unlimited_key_may_give_any_limit_or_none() -> None:
    unlimited = make_record(scopes=tuple(Scope))
    assert rights.above_ceiling(EQUAL, unlimited) == []
    assert rights.above_ceiling(Rights(scopes=tuple(Scope)), unlimited) == []
