"""What becomes of endpoints that fail, hang or want their events in order."""

import json
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pytest_django.fixtures import Settings

from accounts.models import Notice
from auditlog.models import Entry
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.webhooks import deliver, enqueue, make_endpoint, make_event
from tests.http_receiver import HttpReceiver, answer, silence
from tests.roles import as_role
from webhooks import outbox, rounds
from webhooks.models import Delivery, Endpoint
from webhooks.windows import FIRST_ROOM, LARGEST_ROOM, SMALLEST_ROOM_OF_SLOW, Windows

DAY = timedelta(days=1)


def fresh(endpoint: Endpoint) -> Endpoint:
    with tenant(endpoint.account_id):
        return Endpoint.objects.get(pk=endpoint.pk)


def notices_of(cast: Cast) -> list[Notice]:
    with tenant(cast.hive.pk):
        return list(Notice.objects.filter(kind="webhook.disabled"))


def fail_at(cast: Cast, at: datetime) -> None:
    with tenant(cast.hive.pk):
        Endpoint.objects.update(resting_until=None)
    enqueue(cast.hive)
    deliver(now=at)


def test_an_endpoint_that_failed_for_five_days_is_disabled_with_notice_and_entry(
    cast: Cast,
) -> None:
    start = datetime.now(UTC) + timedelta(minutes=1)
    with HttpReceiver(answer(500)) as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url)
        fail_at(cast, start)
        fail_at(cast, start + 5 * DAY - timedelta(minutes=1))
        assert fresh(endpoint).is_enabled
        fail_at(cast, start + 5 * DAY)

    found = fresh(endpoint)
    assert (found.status, found.disabled_reason) == ("disabled", "failing")
    [notice] = notices_of(cast)
    assert notice.to_right == "webhooks:write"
    assert endpoint.url in notice.text
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="webhook.disabled")
        assert not Delivery.objects.filter(state__in=["pending", "sending"]).exists()
    assert "failed since" in entry.changes["reason"]


def test_one_success_begins_the_five_days_anew(cast: Cast) -> None:
    start = datetime.now(UTC) + timedelta(minutes=1)
    with HttpReceiver(answer(500), answer(200), answer(200), answer(500)) as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url)
        fail_at(cast, start)
        fail_at(cast, start + DAY)
        fail_at(cast, start + 5 * DAY)
        fail_at(cast, start + 6 * DAY)

    assert fresh(endpoint).is_enabled
    assert notices_of(cast) == []


def test_410_tells_the_members_too(cast: Cast) -> None:
    with HttpReceiver(answer(410)) as receiver:
        make_endpoint(cast.hive, receiver.url)
        enqueue(cast.hive)
        deliver()

    [notice] = notices_of(cast)
    assert "410" in notice.text


def test_ordered_deliveries_go_one_at_a_time_in_their_order(cast: Cast) -> None:
    events = [make_event(number=number) for number in range(12)]
    with HttpReceiver() as receiver:
        make_endpoint(cast.hive, receiver.url, is_ordered=True)
        for batch in (events[6:], events[:6]):
            enqueue(cast.hive, *batch)
        assert deliver() == 12

    arrived = [json.loads(one.body)["data"]["number"] for one in receiver.requests]
    assert arrived == list(range(12))


def test_an_ordered_delivery_that_fails_is_not_overtaken(cast: Cast) -> None:
    one, two = make_event(number=1), make_event(number=2)
    with HttpReceiver(answer(500), answer(200)) as receiver:
        make_endpoint(cast.hive, receiver.url, is_ordered=True)
        enqueue(cast.hive, one, two)
        assert deliver() == 1
        assert deliver() == 0
        deliver(now=datetime.now(UTC) + timedelta(seconds=6))

    numbers = [json.loads(received.body)["data"]["number"] for received in receiver.requests]
    assert numbers == [1, 1, 2]


def test_the_head_of_an_ordered_endpoint_that_is_held_hides_what_follows(cast: Cast) -> None:
    make_endpoint(cast.hive, "https://hook.example/", is_ordered=True)
    enqueue(cast.hive, make_event(), make_event())
    now = datetime.now(UTC) + timedelta(seconds=1)
    with as_role("worker"):
        [head] = outbox.claim(limit=10, now=now)
        assert outbox.claim(limit=10, now=now) == []
        [again] = outbox.claim(limit=10, now=now + timedelta(seconds=outbox.LEASE_SECONDS + 1))
    assert again.id == head.id


def test_many_that_hang_cost_the_others_nothing(cast: Cast, settings: Settings) -> None:
    settings.WEBHOOK_TIMEOUT_SECONDS = 3
    with HttpReceiver(silence()) as hanging, HttpReceiver() as healthy:
        for _ in range(12):
            make_endpoint(cast.hive, hanging.url, events=["email.sent"])
        make_endpoint(cast.hive, healthy.url, events=["email.bounced"])
        enqueue(cast.hive, *[make_event("email.sent") for _ in range(10)])
        enqueue(cast.hive, *[make_event("email.bounced") for _ in range(100)])
        started = time.time()
        deliver(limit=60)

    assert len(healthy.requests) == 100
    assert max(one.at for one in healthy.requests) - started < 2.5
    assert len(hanging.requests) <= 12 * FIRST_ROOM


def test_room_grows_with_success_and_shrinks_with_slowness_and_failure() -> None:
    windows, endpoint = Windows(), new_id()

    def land(*, is_success: bool = True, seconds: float = 0.01) -> int:
        windows.started(endpoint)
        windows.landed(endpoint, is_success=is_success, seconds=seconds)
        [window] = windows.known()
        return window.room

    assert [land() for _ in range(3)] == [FIRST_ROOM + 1, FIRST_ROOM + 2, FIRST_ROOM + 3]
    assert max(land() for _ in range(100)) == LARGEST_ROOM
    assert land(seconds=2) == LARGEST_ROOM // 2
    assert min(land(seconds=2) for _ in range(10)) == SMALLEST_ROOM_OF_SLOW
    assert land(is_success=False) == 1


def test_what_is_on_the_wire_takes_room() -> None:
    windows, endpoint = Windows(), new_id()
    for _ in range(FIRST_ROOM + 1):
        windows.started(endpoint)
    assert [window.room for window in windows.known()] == [0]


@pytest.mark.parametrize("count", [0, 1])
def test_a_full_window_gets_no_more(cast: Cast, count: int) -> None:
    endpoint = make_endpoint(cast.hive, "https://hook.example/")
    enqueue(cast.hive, *[make_event() for _ in range(10)])
    windows = Windows()
    for _ in range(FIRST_ROOM - count):
        windows.started(UUID(str(endpoint.pk)))
    with as_role("worker"):
        found = outbox.claim(limit=100, now=datetime.now(UTC), windows=windows)
    assert len(found) == count


def test_a_round_ends_even_when_work_goes_on(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "ROUND_SECONDS", 0.0)
    make_endpoint(cast.hive, "https://hook.example/")
    enqueue(cast.hive)
    assert deliver() == 0
