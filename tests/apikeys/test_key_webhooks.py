"""What happens to a key is told by webhook, in the transaction in which it happens."""

from typing import Any

import orjson
import pytest
from django.test import Client

from apikeys import actions
from queensmtp.tenancy import tenant
from tests.apikeys.test_keys_api import BODY, call
from tests.factories.cast import Cast
from tests.factories.keys import make_key
from tests.factories.webhooks import make_endpoint
from webhooks.models import Delivery

EVENTS = ["api_key.created", "api_key.rotated", "api_key.revoked"]


@pytest.fixture
def token(cast: Cast) -> str:
    token = make_key(cast.hive)[1]
    make_endpoint(cast.hive, "https://hooks.hive.example/", events=EVENTS)
    make_endpoint(cast.wasp, "https://hooks.wasp.example/", events=EVENTS)
    return token


def told(cast: Cast) -> list[Any]:
    with tenant(cast.wasp.pk):
        assert not Delivery.objects.exists()
    with tenant(cast.hive.pk):
        return [orjson.loads(bytes(one.body)) for one in Delivery.objects.order_by("id")]


def test_each_change_is_told_with_the_keys_four_facts_and_no_secret(
    client: Client, cast: Cast, token: str
) -> None:
    made = call(client, "POST", "", token, BODY).json()
    rotated = call(client, "POST", f"/{made['id']}/rotate", token, {"overlap_seconds": 60}).json()
    call(client, "DELETE", f"/{made['id']}", token)
    call(client, "DELETE", f"/{made['id']}", token)

    events = told(cast)
    assert [one["type"] for one in events] == EVENTS
    for event in events:
        assert {name: event["data"][name] for name in ("id", "name", "prefix", "last4")} == {
            name: made[name] for name in ("id", "name", "prefix", "last4")
        }
    assert events[1]["data"]["replaced_by"]["id"] == rotated["id"]
    assert events[1]["data"]["overlap_ends_at"] > events[1]["created_at"]
    assert made["token"] not in str(events) and rotated["token"] not in str(events)


def test_an_action_that_fails_tells_nothing(
    cast: Cast, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = make_key(cast.hive)
    before = len(told(cast))
    monkeypatch.setattr(actions, "announce", lambda *_, **__: 1 / 0)
    with tenant(cast.hive.pk), pytest.raises(ZeroDivisionError):
        actions.revoke(by=cast.alice.actor, key=key)

    assert len(told(cast)) == before
    with tenant(cast.hive.pk):
        assert actions.get(key.pk).revoked_at is None
