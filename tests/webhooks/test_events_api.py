import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from auditlog.models import Entry
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.webhooks import deliver, enqueue, make_endpoint, make_event
from tests.http_receiver import HttpReceiver, answer
from tests.webhooks.api_client import Api
from webhooks import actions
from webhooks.models import Delivery, Endpoint
from webhooks.payloads import WebhookEvent


@pytest.fixture
def api(cast: Cast) -> Api:
    return Api(cast.hive)


def given_up(cast: Cast, endpoint: Endpoint, *events: WebhookEvent) -> None:
    """Deliveries that were tried and did not arrive."""
    enqueue(cast.hive, *events)
    with tenant(cast.hive.pk):
        Delivery.objects.filter(state="pending").update(
            state="failed", finished_at=datetime.now(UTC)
        )


def test_events_are_listed_newest_first_by_the_id_that_receivers_see(cast: Cast, api: Api) -> None:
    endpoint = make_endpoint(cast.hive, "https://hook.example/")
    events = [make_event() for _ in range(3)]
    enqueue(cast.hive, *events)

    first = api.call("GET", f"/{endpoint.pk}/events?limit=2").json()
    rest = api.call("GET", f"/{endpoint.pk}/events?after={first['data'][-1]['id']}").json()

    assert first["object"] == "list"
    assert first["has_more"] and not rest["has_more"]
    shown = [one["id"] for one in first["data"] + rest["data"]]
    assert shown == [str(event.id) for event in reversed(events)]
    assert first["data"][0] == {
        "id": str(events[2].id),
        "type": "email.delivered",
        "created_at": events[2].created_at.isoformat(),
        "status": "pending",
    }


def test_one_event_shows_its_payload_and_its_next_attempt(cast: Cast, api: Api) -> None:
    endpoint = make_endpoint(cast.hive, "https://hook.example/")
    event = make_event(subject="Grüße")
    enqueue(cast.hive, event)

    body = api.call("GET", f"/{endpoint.pk}/events/{event.id}").json()

    assert body["object"] == "webhook_event"
    assert (body["status"], body["payload"]["data"]) == ("pending", {"subject": "Grüße"})
    assert datetime.fromisoformat(body["next_attempt_at"]) <= datetime.now(UTC)


def test_attempts_say_what_came_back(cast: Cast, api: Api) -> None:
    with HttpReceiver(answer(500, b"no"), answer(202, b"yes")) as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url)
        event = make_event()
        enqueue(cast.hive, event)
        deliver()
        waiting = api.call("GET", f"/{endpoint.pk}/events/{event.id}").json()
        deliver(now=datetime.now(UTC) + timedelta(seconds=6))

    done = api.call("GET", f"/{endpoint.pk}/events/{event.id}").json()
    attempts = api.call("GET", f"/{endpoint.pk}/events/{event.id}/attempts").json()["data"]

    assert (waiting["status"], done["status"]) == ("attempting", "success")
    assert done["next_attempt_at"] is None
    assert [(one["http_status_code"], one["response"]) for one in attempts] == [
        (202, "yes"),
        (500, "no"),
    ]


def test_dead_letters_are_listed_and_one_is_sent_again(cast: Cast, api: Api) -> None:
    with HttpReceiver(answer(503), answer(200)) as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url)
        event = make_event()
        given_up(cast, endpoint, event)
        [dead] = api.call("GET", f"/{endpoint.pk}/events?status=failed").json()["data"]

        replayed = api.call("POST", f"/{endpoint.pk}/events/{dead['id']}/replay")
        deliver()
        deliver(now=datetime.now(UTC) + timedelta(seconds=6))

    assert replayed.json() == {"object": "webhook_event", "id": str(event.id)}
    one, two = receiver.requests
    assert one.headers["webhook-id"] == two.headers["webhook-id"] == str(event.id)
    assert one.body == two.body
    assert api.call("GET", f"/{endpoint.pk}/events?status=failed").json()["data"] == []


def test_a_replay_begins_the_schedule_anew_and_goes_on_counting(cast: Cast, api: Api) -> None:
    with HttpReceiver(answer(500)) as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url)
        event = make_event()
        enqueue(cast.hive, event)
        at = datetime.now(UTC)
        for _ in range(9):
            deliver(now=at)
            at += timedelta(hours=12)
        assert len(receiver.requests) == 8
        api.call("POST", f"/{endpoint.pk}/events/{event.id}/replay")
        deliver(now=at)

    with tenant(cast.hive.pk):
        row = Delivery.objects.get()
    assert (row.state, row.attempt_count) == ("pending", 9)
    assert row.due_at - at < timedelta(seconds=6)


def test_a_delivered_event_can_be_sent_again(cast: Cast, api: Api) -> None:
    with HttpReceiver() as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url)
        event = make_event()
        enqueue(cast.hive, event)
        deliver()
        api.call("POST", f"/{endpoint.pk}/events/{event.id}/replay")
        deliver()

    assert len({one.body for one in receiver.requests}) == 1
    assert len(receiver.requests) == 2


def test_all_that_failed_since_is_sent_again_and_nothing_older(cast: Cast, api: Api) -> None:
    endpoint = make_endpoint(cast.hive, "https://hook.example/")
    old, *new = [make_event() for _ in range(4)]
    given_up(cast, endpoint, old, *new)
    with tenant(cast.hive.pk):
        long_ago = datetime.now(UTC) - timedelta(days=2)
        Delivery.objects.filter(event_id=old.id).update(finished_at=long_ago)
    since = (datetime.now(UTC) - timedelta(days=1)).isoformat()

    answer = api.call("POST", f"/{endpoint.pk}/replay", {"since": since})
    again = api.call("POST", f"/{endpoint.pk}/replay", {"since": since})

    assert answer.json() == {
        "object": "webhook",
        "id": str(endpoint.pk),
        "replayed": 3,
        "has_more": False,
    }
    assert again.json()["replayed"] == 0
    with tenant(cast.hive.pk):
        assert Delivery.objects.get(state="failed").event_id == old.id
        entry = Entry.objects.filter(event="webhook.replayed").earliest("id")
    assert entry.changes["count"] == 3


def test_a_bounded_number_is_sent_again_at_once(
    cast: Cast, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhooks.replays.REPLAYED_AT_ONCE", 2)
    endpoint = make_endpoint(cast.hive, "https://hook.example/")
    given_up(cast, endpoint, *[make_event() for _ in range(3)])
    body = {"since": "2026-01-01T00:00:00Z"}

    answers = [api.call("POST", f"/{endpoint.pk}/replay", body).json() for _ in range(2)]

    assert [(one["replayed"], one["has_more"]) for one in answers] == [(2, True), (1, False)]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/replay", {"since": "yesterday"}, "since"),
        ("/replay", {"since": "2026-13-01T00:00:00Z"}, "since"),
        ("/replay", {"since": "2026-01-01T00:00:00"}, "since"),
        ("/replay", {}, "since"),
        ("/replay", {"since": "2026-01-01T00:00:00Z", "till": 1}, "till"),
        ("/test", {"type": "email.telepathy"}, "type"),
        ("/test", {"type": []}, "type"),
    ],
)
def test_a_wrong_request_names_its_field(
    cast: Cast, api: Api, path: str, body: Any, field: str
) -> None:
    endpoint = make_endpoint(cast.hive, "https://hook.example/")
    answer = api.call("POST", f"/{endpoint.pk}{path}", body)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]


def test_an_unknown_status_is_refused(cast: Cast, api: Api) -> None:
    endpoint = make_endpoint(cast.hive, "https://hook.example/")
    assert api.call("GET", f"/{endpoint.pk}/events?status=lost").status_code == 422


def test_a_test_event_goes_to_this_endpoint_only_and_says_that_it_is_one(
    cast: Cast, api: Api
) -> None:
    with HttpReceiver() as receiver, HttpReceiver() as other:
        endpoint = make_endpoint(cast.hive, receiver.url, events=["email.sent"])
        make_endpoint(cast.hive, other.url, events=["email.bounced"])
        answer = api.call("POST", f"/{endpoint.pk}/test", {"type": "email.bounced"})
        deliver()

    assert answer.status_code == 201
    [received] = receiver.requests
    assert received.headers["webhook-id"] == answer.json()["id"]
    payload = json.loads(received.body)
    assert payload["type"] == "email.bounced"
    assert payload["data"]["test"] is True
    assert not other.requests


def test_nothing_is_sent_again_to_a_disabled_endpoint(cast: Cast, api: Api) -> None:
    endpoint = make_endpoint(cast.hive, "https://hook.example/")
    event = make_event()
    given_up(cast, endpoint, event)
    with tenant(cast.hive.pk):
        actions.update_endpoint(by=cast.alice.actor, endpoint=endpoint, status="disabled")

    bodies = {
        f"/events/{event.id}/replay": None,
        "/replay": {"since": "2026-01-01T00:00:00Z"},
        "/test": {"type": "email.sent"},
    }
    answers = [api.call("POST", f"/{endpoint.pk}{path}", body) for path, body in bodies.items()]

    assert [one.status_code for one in answers] == [409, 409, 409]


def all_paths(endpoint_id: UUID, event_id: UUID) -> list[tuple[str, str, Any]]:
    event = f"/{endpoint_id}/events/{event_id}"
    return [
        ("GET", f"/{endpoint_id}/events", None),
        ("GET", event, None),
        ("GET", f"{event}/attempts", None),
        ("POST", f"{event}/replay", None),
        ("POST", f"/{endpoint_id}/replay", {"since": "2026-01-01T00:00:00Z"}),
        ("POST", f"/{endpoint_id}/test", {"type": "email.sent"}),
    ]


def test_it_refuses_without_the_scope(cast: Cast) -> None:
    endpoint, event = make_endpoint(cast.hive, "https://hook.example/"), make_event()
    enqueue(cast.hive, event)
    reader, writer = Api(cast.hive, "webhooks:read"), Api(cast.hive, "webhooks:write")
    for method, path, body in all_paths(endpoint.pk, event.id):
        lacking = writer if method == "GET" else reader
        answer = lacking.call(method, path, body)
        assert (answer.status_code, answer.json()["name"]) == (403, "insufficient_scope"), path


def test_charlie_gets_404_as_for_what_never_was(cast: Cast) -> None:
    endpoint, event = make_endpoint(cast.hive, "https://hook.example/"), make_event()
    enqueue(cast.hive, event)
    charlie = Api(cast.wasp)
    own = make_endpoint(cast.wasp, "https://wasp.example/")
    foreign = all_paths(endpoint.pk, event.id) + all_paths(own.pk, event.id)[1:4]
    never = all_paths(new_id(), new_id()) + all_paths(own.pk, new_id())[1:4]
    for (method, path, body), (_, unknown, _) in zip(foreign, never, strict=True):
        answer, reference = (charlie.call(method, one, body) for one in (path, unknown))
        assert answer.status_code == reference.status_code == 404, path
        assert answer.json()["message"] == reference.json()["message"]
