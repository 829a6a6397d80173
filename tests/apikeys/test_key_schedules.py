"""A rotation schedule sets a deadline and reminds of it; a secret is never minted unseen."""

from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Notice
from apikeys import actions, reminders
from apikeys.models import ApiKey
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from tests.apikeys.test_keys_api import BODY, call
from tests.factories.cast import Cast
from tests.factories.keys import make_key
from tests.factories.webhooks import make_endpoint
from tests.roles import as_role
from webhooks.models import Delivery

DAY = 86_400


@pytest.fixture
def token(cast: Cast) -> str:
    return make_key(cast.hive)[1]


def remind(now: datetime | None = None) -> int:
    """As the worker does."""
    with as_role("worker"):
        return reminders.remind_due(now)


def lasts(key: Any) -> timedelta:
    end, made = (datetime.fromisoformat(key[name]) for name in ("expires_at", "created_at"))
    return end - made


def told(cast: Cast) -> list[Any]:
    with tenant(cast.hive.pk):
        return [orjson.loads(bytes(one.body)) for one in Delivery.objects.order_by("id")]


def test_a_schedule_sets_the_deadline_and_each_rotation_a_new_one(
    client: Client, token: str
) -> None:
    made = call(client, "POST", "", token, BODY | {"rotate_every_seconds": 90 * DAY}).json()
    second = timedelta(seconds=5)
    assert abs(lasts(made) - timedelta(days=90)) < second

    path = f"/{made['id']}/rotate"
    successor = call(client, "POST", path, token, {"overlap_seconds": 60}).json()
    assert successor["rotate_every_seconds"] == 90 * DAY
    assert abs(lasts(successor) - timedelta(days=90)) < second
    assert successor["expires_at"] > made["expires_at"]


def test_nobody_rotates_a_key_that_missed_its_deadline(
    client: Client, cast: Cast, token: str
) -> None:
    made = call(client, "POST", "", token, BODY | {"rotate_every_seconds": DAY}).json()
    with tenant(cast.hive.pk):
        key = ApiKey.objects.get(pk=made["id"])
        past = timezone.now() - timedelta(seconds=1)
        actions.update(by=cast.alice.actor, key=key, changes={"expires_at": past})

    response = call(client, "POST", f"/{made['id']}/rotate", token, {"overlap_seconds": 0})
    assert response.status_code == 409
    assert call(client, "GET", "", made["token"]).status_code == 401


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"rotate_every_seconds": DAY - 1}, "rotate_every_seconds"),
        ({"rotate_every_seconds": 10**12}, "rotate_every_seconds"),
        ({"rotate_every_seconds": True}, "rotate_every_seconds"),
        ({"rotate_every_seconds": "90d"}, "rotate_every_seconds"),
        ({"rotate_every_seconds": DAY, "expires_at": "2030-01-01T00:00:00Z"}, "expires_at"),
    ],
)
def test_refuses_a_schedule_that_is_none(
    client: Client, token: str, wrong: dict[str, Any], field: str
) -> None:
    response = call(client, "POST", "", token, BODY | wrong)

    assert response.status_code == 422
    assert [one["field"] for one in response.json()["errors"]] == [field]


@pytest.mark.parametrize("expires_at", [None, "2030-01-01T00:00:00Z"])
def test_the_deadline_of_a_schedule_is_not_edited_past_it(
    client: Client, token: str, expires_at: str | None
) -> None:
    made = call(client, "POST", "", token, BODY | {"rotate_every_seconds": DAY}).json()
    response = call(client, "PATCH", f"/{made['id']}", token, {"expires_at": expires_at})

    assert response.status_code == 422
    assert response.json()["errors"][0]["code"] == "set_by_schedule"


def test_a_schedule_is_changed_and_ended(client: Client, token: str) -> None:
    made = call(client, "POST", "", token, BODY).json()
    path = f"/{made['id']}"

    changed = call(client, "PATCH", path, token, {"rotate_every_seconds": 7 * DAY}).json()
    assert abs(lasts(changed) - timedelta(days=7)) < timedelta(minutes=1)
    ended = call(client, "PATCH", path, token, {"rotate_every_seconds": None}).json()
    assert (ended["rotate_every_seconds"], ended["expires_at"]) == (None, None)


def test_a_key_that_ends_sooner_cannot_schedule_beyond_its_own_end(
    client: Client, cast: Cast
) -> None:
    _, short = make_key(cast.hive, expires_at=timezone.now() + timedelta(days=30))
    response = call(client, "POST", "", short, BODY | {"rotate_every_seconds": 90 * DAY})

    assert response.status_code == 403
    assert [one["field"] for one in response.json()["errors"]] == ["expires_at"]


def test_a_key_on_a_schedule_does_not_prolong_its_own_life(client: Client, cast: Cast) -> None:
    now = timezone.now()
    key, token = make_key(
        cast.hive, rotate_every_seconds=30 * DAY, expires_at=now + timedelta(days=3)
    )
    response = call(client, "POST", f"/{key.pk}/rotate", token, {"overlap_seconds": 60})

    assert response.status_code == 403


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (timedelta(days=14, minutes=1), []),
        (timedelta(days=13), ["14"]),
        (timedelta(days=6), ["7"]),
        (timedelta(hours=3), ["1"]),
        (timedelta(seconds=-1), []),
    ],
)
def test_reminds_once_at_14_7_and_1_days(cast: Cast, left: timedelta, expected: list[str]) -> None:
    make_endpoint(cast.hive, "https://hooks.hive.example/", events=["api_key.expiring"])
    end = timezone.now() + timedelta(days=90)
    key, token = make_key(cast.hive, rotate_every_seconds=90 * DAY, expires_at=end)

    assert [remind(end - left), remind(end - left)] == [len(expected), 0]

    with tenant(cast.hive.pk):
        entries = list(Entry.objects.filter(event="api_key.expiry_announced"))
        notices = list(Notice.objects.filter(kind="api_key.expiring"))
    assert [str(one.changes["days"]) for one in entries] == expected
    assert [one["data"]["id"] for one in told(cast)] == [str(key.pk)] * len(expected)
    assert len(notices) == len(expected)
    assert all("every 90 days" in one.text and token not in one.text for one in notices)


def test_each_nearer_day_is_told_anew(cast: Cast) -> None:
    end = timezone.now() + timedelta(days=90)
    make_key(cast.hive, expires_at=end)

    days = [20, 14, 13, 7, 6, 1, 0]
    assert [remind(end - timedelta(days=one, seconds=-1)) for one in days] == [0, 1, 0, 1, 0, 1, 0]


def test_a_short_life_is_not_announced_as_if_it_were_news(cast: Cast) -> None:
    make_key(cast.hive, expires_at=timezone.now() + timedelta(hours=1))
    make_key(cast.hive, expires_at=timezone.now() + timedelta(days=10))

    assert remind() == 0


def test_who_was_rotated_revoked_or_is_bait_is_not_announced(cast: Cast) -> None:
    end, by = timezone.now() + timedelta(days=30), cast.alice.actor
    with tenant(cast.hive.pk):
        rotated, revoked = (make_key(cast.hive, expires_at=end)[0] for _ in range(2))
        actions.rotate(by=by, key=rotated, overlap_seconds=30 * DAY)
        actions.revoke(by=by, key=revoked)

    # The successor has the same end, and is told of.
    assert remind(end - timedelta(days=1)) == 1


def test_two_workers_tell_once(cast: Cast) -> None:
    end = timezone.now() + timedelta(days=30)
    key, _ = make_key(cast.hive, expires_at=end)
    with as_role("worker"):
        ending = reminders._ending(end - timedelta(days=2))
        assert [reminders._remind(one, end - timedelta(days=2)) for one in ending * 2] == [
            True,
            False,
        ]
