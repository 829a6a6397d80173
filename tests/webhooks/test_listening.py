import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks

from queensmtp.ids import lowest_id_at, new_id, timestamp_of
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.webhooks import deliver, enqueue, make_endpoint, make_event, secret_of
from tests.webhooks.api_client import Api
from webhooks import listening
from webhooks.models import Endpoint
from webhooks.payloads import EVENT_TYPES


@pytest.fixture(autouse=True)
def _nothing_to_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SETTLED_SECONDS", -1.0)


@pytest.fixture
def api(cast: Cast) -> Api:
    return Api(cast.hive, "webhooks:write")


def listen(api: Api, **body: Any) -> str:
    answer = api.call("POST", "/listeners", body)
    assert answer.status_code == 201
    return str(answer.json()["id"])


def fetch(api: Api, listener: str, query: str = "") -> list[dict[str, Any]]:
    return list(api.call("GET", f"/listeners/{listener}/events{query}").json()["data"])


def test_events_are_fetched_in_their_order_and_verify_with_the_accounts_secret(
    cast: Cast, api: Api
) -> None:
    endpoint = make_endpoint(cast.hive, "https://hook.example/", events=["email.bounced"])
    listener = listen(api)
    events = [make_event(number=number) for number in range(3)]
    enqueue(cast.hive, *events)

    found = fetch(api, listener)

    assert [json.loads(one["body"])["data"]["number"] for one in found] == [0, 1, 2]
    assert [one["headers"]["webhook-id"] for one in found] == [str(one.id) for one in events]
    verifier = standardwebhooks.Webhook(secret_of(endpoint))
    for one in found:
        verifier.verify(one["body"], one["headers"])


def test_after_is_where_the_next_fetch_begins(cast: Cast, api: Api) -> None:
    listener = listen(api)
    enqueue(cast.hive, make_event(), make_event())
    first, second = fetch(api, listener)

    assert fetch(api, listener, f"?after={first['id']}")[0]["id"] == second["id"]
    assert fetch(api, listener, f"?after={second['id']}") == []


def test_what_may_be_overtaken_is_not_shown_yet(
    cast: Cast, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "SETTLED_SECONDS", 60.0)
    listener = listen(api)
    enqueue(cast.hive)
    assert fetch(api, listener) == []


def test_only_the_types_that_were_asked_for_come(cast: Cast, api: Api) -> None:
    everything, bounces = listen(api), listen(api, events=["email.bounced"])
    enqueue(cast.hive, make_event("email.bounced"), make_event("email.delivered"))

    assert len(fetch(api, everything)) == 2
    assert [one["type"] for one in fetch(api, bounces)] == ["email.bounced"]
    assert api.call("POST", "/listeners", {}).json()["events"] == list(EVENT_TYPES)


def test_no_worker_sends_what_is_fetched_and_no_list_shows_a_listener(cast: Cast, api: Api) -> None:
    listener = listen(api)
    enqueue(cast.hive)

    assert deliver() == 0
    reader = Api(cast.hive, "webhooks:read")
    assert reader.call("GET").json()["data"] == []
    assert reader.call("GET", f"/{listener}").status_code == 404


def test_a_listener_that_nobody_fetches_from_is_told_nothing_more(cast: Cast, api: Api) -> None:
    listener = listen(api)
    with tenant(cast.hive.pk):
        Endpoint.objects.update(listening_until=datetime.now(UTC) - timedelta(seconds=1))
    enqueue(cast.hive)

    assert api.call("GET", f"/listeners/{listener}/events").status_code == 404
    with tenant(cast.hive.pk):
        assert not Endpoint.objects.get(pk=listener).deliveries.exists()


def test_a_fetch_puts_the_end_off(cast: Cast, api: Api) -> None:
    listener = listen(api)
    with tenant(cast.hive.pk):
        Endpoint.objects.update(listening_until=datetime.now(UTC) + timedelta(seconds=5))
    fetch(api, listener)
    with tenant(cast.hive.pk):
        until = Endpoint.objects.get(pk=listener).listening_until
    assert until is not None
    assert until - datetime.now(UTC) > timedelta(seconds=100)


def test_an_ended_listener_is_not_found(cast: Cast, api: Api) -> None:
    listener = listen(api)
    answer = api.call("DELETE", f"/listeners/{listener}")
    assert answer.json() == {"object": "webhook_listener", "id": listener, "deleted": True}
    assert api.call("GET", f"/listeners/{listener}/events").status_code == 404
    assert api.call("DELETE", f"/listeners/{listener}").status_code == 404


def test_there_is_an_end_to_the_number_of_listeners(api: Api) -> None:
    for _ in range(listening.LISTENERS_MAX):
        listen(api)
    assert api.call("POST", "/listeners", {}).status_code == 409


@pytest.mark.parametrize("body", [{"events": []}, {"events": ["email.x"]}, {"types": []}])
def test_a_wrong_request_is_refused(api: Api, body: Any) -> None:
    assert api.call("POST", "/listeners", body).status_code == 422


def test_it_refuses_without_the_scope(cast: Cast, api: Api) -> None:
    listener, reader = listen(api), Api(cast.hive, "webhooks:read")
    for method, path in (
        ("POST", "/listeners"),
        ("GET", f"/listeners/{listener}/events"),
        ("DELETE", f"/listeners/{listener}"),
    ):
        assert reader.call(method, path, None).json()["name"] == "insufficient_scope"


def test_charlie_gets_404(cast: Cast, api: Api) -> None:
    listener, charlie = listen(api), Api(cast.wasp)
    for method, path in (
        ("GET", f"/listeners/{listener}/events"),
        ("DELETE", f"/listeners/{listener}"),
    ):
        assert charlie.call(method, path).status_code == 404
    assert fetch(api, listener) == []


def test_the_lowest_id_of_a_moment_is_below_those_made_in_it() -> None:
    made = new_id()
    lowest = lowest_id_at(timestamp_of(made))
    assert lowest <= made
    assert timestamp_of(lowest) == timestamp_of(made)
    assert lowest_id_at(timestamp_of(made) + timedelta(milliseconds=1)) > made
