"""What ends or limits a key over HTTP does so over SMTP: the policy is one function."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Account
from apikeys import actions
from apikeys.models import ApiKey
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from sending import submission_port
from sending.mailrooms import Client, LoggedIn
from tests.factories.cast import Cast
from tests.factories.keys import make_key


def log_in(token: str, address: str = "127.0.0.1") -> LoggedIn | str:
    return submission_port.log_in("resend", token, Client(address, helo="client.example"))


def refusals_of(cast: Cast) -> list[str]:
    with tenant(cast.hive.pk):
        return [one.changes["reason"] for one in Entry.objects.filter(outcome="refused")]


def end(cast: Cast, key: ApiKey, reason: str) -> None:
    by, now = cast.alice.actor, timezone.now()
    with tenant(cast.hive.pk):
        if reason == "revoked":
            actions.revoke(by=by, key=key)
        elif reason == "expired":
            actions.update(by=by, key=key, changes={"expires_at": now})
        elif reason == "overlap_ended":
            actions.rotate(by=by, key=key, overlap_seconds=0)
        elif reason == "row_was_tampered_with":
            ApiKey.objects.filter(pk=key.pk).update(expires_at=now + timedelta(days=9))
        else:
            Account.objects.update(status="closed")


@pytest.mark.parametrize(
    "reason", ["revoked", "expired", "overlap_ended", "account_closed", "row_was_tampered_with"]
)
def test_a_dead_key_is_refused_and_only_its_owner_learns_why(cast: Cast, reason: str) -> None:
    key, token = make_key(cast.hive)
    assert isinstance(log_in(token), LoggedIn)
    end(cast, key, reason)
    reply = log_in(token)

    assert isinstance(reply, str) and reply.startswith("535 5.7.8 The API key is not valid")
    assert refusals_of(cast) == [reason]


def test_a_rotated_key_and_its_successor_both_log_in_during_the_overlap(cast: Cast) -> None:
    key, token = make_key(cast.hive)
    with tenant(cast.hive.pk):
        _, successor = actions.rotate(by=cast.alice.actor, key=key, overlap_seconds=60)

    assert isinstance(log_in(token), LoggedIn)
    assert isinstance(log_in(successor.text), LoggedIn)


@pytest.mark.parametrize(
    ("allowed", "address", "passes"),
    [
        ("203.0.113.0/24", "::ffff:203.0.113.9", True),
        ("203.0.113.0/24", "::ffff:198.51.100.1", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("203.0.113.0/24", "not an address", False),
    ],
)
def test_the_allowlist_is_held_however_the_address_is_written(
    cast: Cast, allowed: str, address: str, passes: bool
) -> None:
    _, token = make_key(cast.hive, allowed_cidrs=(allowed,))
    reply: Any = log_in(token, address)

    assert isinstance(reply, LoggedIn) if passes else reply.startswith("535 5.7.8 ")
