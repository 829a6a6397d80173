"""Decoy keys: they authorise nothing, over HTTP or SMTP, and whoever presents one is told of."""

from typing import Any

import orjson
import pytest
from django.test import Client

from accounts.models import Notice
from apikeys.models import ApiKey
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from sending import submission_port
from sending.mailrooms import Client as SmtpClient
from tests.apikeys.test_keys_api import BODY, call
from tests.apikeys.test_leaked_keys import report
from tests.factories.cast import Cast
from tests.factories.keys import make_key
from tests.factories.webhooks import make_endpoint
from webhooks.models import Delivery


@pytest.fixture
def decoy(client: Client, cast: Cast) -> Any:
    """A decoy, made over the API, with every scope that there is to be had."""
    make_endpoint(cast.hive, "https://hooks.hive.example/", events=["api_key.decoy_used"])
    _, token = make_key(cast.hive)
    body = BODY | {"decoy": True, "name": "old backup", "scopes": ["keys:read", "email:send"]}
    return call(client, "POST", "", token, body).json()


def alarms_of(cast: Cast) -> tuple[list[Any], list[Any], list[Notice]]:
    with tenant(cast.hive.pk):
        told = [orjson.loads(bytes(one.body)) for one in Delivery.objects.order_by("id")]
        entries = list(Entry.objects.filter(event="api_key.decoy_used"))
        return entries, told, list(Notice.objects.filter(kind="api_key.decoy_used"))


def test_a_decoy_is_refused_like_any_bad_key_and_raises_the_alarm(
    client: Client, cast: Cast, decoy: Any
) -> None:
    response = client.get(
        "/v1/keys", headers={"authorization": f"Bearer {decoy['token']}", "user-agent": "thief/1"}
    )
    other = client.get("/v1/keys", headers={"authorization": "Bearer nonsense"})

    assert response.status_code == 401
    assert response.json()["message"] == other.json()["message"]
    [entry], [event], [notice] = alarms_of(cast)
    assert (entry.target_id, entry.ip, entry.user_agent) == (decoy["id"], "127.0.0.1", "thief/1")
    assert event["type"] == "api_key.decoy_used"
    assert event["data"]["id"] == decoy["id"] and event["data"]["ip"] == "127.0.0.1"
    assert "old backup" in notice.subject and "thief/1" in notice.text
    assert decoy["token"] not in str(event) + notice.text + str(entry.changes)
    with tenant(cast.hive.pk):
        refused = Entry.objects.get(outcome="refused", actor_type="key")
    assert refused.changes["reason"] == "decoy"


def test_a_decoy_logs_nobody_in_over_smtp_and_raises_the_alarm(cast: Cast, decoy: Any) -> None:
    there = SmtpClient("198.51.100.9", helo="thief")
    reply = submission_port.log_in("resend", decoy["token"], there)

    assert isinstance(reply, str) and reply.startswith("535 5.7.8 The API key is not valid")
    [entry], [event], _ = alarms_of(cast)
    assert (entry.ip, event["data"]["ip"]) == ("198.51.100.9", "198.51.100.9")


def test_the_alarm_is_raised_once_for_a_network_and_hour(
    client: Client, cast: Cast, decoy: Any
) -> None:
    for address in ("198.51.100.9", "198.51.100.77", "2001:db8::1", "2001:db8:0:9::1"):
        submission_port.log_in("resend", decoy["token"], SmtpClient(address, helo="thief"))

    assert [len(one) for one in alarms_of(cast)] == [2, 2, 2]


def test_a_reported_decoy_is_an_alarm_and_not_revoked(
    client: Client, cast: Cast, decoy: Any
) -> None:
    report(client, decoy["token"])

    [entry], [event], _ = alarms_of(cast)
    assert event["data"]["how"] == entry.changes["how"] == "reported as leaked"
    with tenant(cast.hive.pk):
        assert ApiKey.objects.get(pk=decoy["id"]).revoked_at is None


def test_a_row_that_was_made_a_plain_key_by_hand_is_dead(
    client: Client, cast: Cast, decoy: Any
) -> None:
    with tenant(cast.hive.pk):
        ApiKey.objects.filter(pk=decoy["id"]).update(is_decoy=False)

    assert call(client, "GET", "", decoy["token"]).status_code == 401


def test_a_successor_of_a_decoy_is_a_decoy(client: Client, cast: Cast, decoy: Any) -> None:
    _, token = make_key(cast.hive)
    path = f"/{decoy['id']}/rotate"
    successor = call(client, "POST", path, token, {"overlap_seconds": 0}).json()

    assert successor["decoy"] is True
    assert call(client, "GET", "", successor["token"]).status_code == 401


def test_a_revoked_decoy_is_quiet(client: Client, cast: Cast, decoy: Any) -> None:
    _, token = make_key(cast.hive)
    call(client, "DELETE", f"/{decoy['id']}", token)

    assert call(client, "GET", "", decoy["token"]).status_code == 401
    assert alarms_of(cast) == ([], [], [])


def test_decoy_is_true_or_false(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive)
    response = call(client, "POST", "", token, BODY | {"decoy": "yes"})

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "decoy"
