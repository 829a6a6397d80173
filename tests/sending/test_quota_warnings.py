"""People are told when a quota is nearly used up, and when it is."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from accounts.models import Account, Notice
from apikeys.models import ApiKey
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from sending import quota_counters, quota_warnings
from sending.models import QuotaCounter
from sending.periods import Period
from sending.quotas import Quota, Spending
from tests.factories.cast import Cast
from tests.factories.keys import make_key
from tests.factories.webhooks import make_endpoint
from tests.roles import as_role
from webhooks.models import Delivery

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def count(account: Account, used: int, *, key: ApiKey | None = None, **more: Any) -> None:
    """A counter of a hundred as it stands after some mail."""
    counter_id: UUID = key.pk if key else account.pk
    fields = {"period": "day", "starts_on": NOW.date(), "allowed": 100} | more
    with tenant(account.pk):
        QuotaCounter.objects.create(
            account_id=account.pk, counter_id=counter_id, used=used, **fields
        )


def raise_to(account: Account, used: int, **more: Any) -> None:
    with tenant(account.pk):
        QuotaCounter.objects.update(used=used, **more)


def warn() -> int:
    with as_role("worker"):
        return quota_warnings.warn_due(NOW)


def subjects(account: Account) -> list[str]:
    with tenant(account.pk):
        return list(Notice.objects.order_by("pk").values_list("subject", flat=True))


@pytest.fixture
def hive(cast: Cast) -> Account:
    return cast.hive


def test_each_mark_is_told_once(hive: Account) -> None:
    count(hive, 79)
    assert warn() == 0
    raise_to(hive, 80)
    assert (warn(), warn()) == (1, 0)
    raise_to(hive, 99)
    assert warn() == 0
    raise_to(hive, 100)
    assert (warn(), warn()) == (1, 0)

    assert subjects(hive) == [
        "The daily quota of your account is nearly used up",
        "The daily quota of your account is used up",
    ]


def test_it_is_told_by_mail_by_webhook_and_in_the_audit_log(hive: Account) -> None:
    make_endpoint(hive, "https://hooks.hive.example/", events=["quota.reached"])
    key, _ = make_key(hive, daily_quota=100)
    count(hive, 100, key=key)

    warn()

    with tenant(hive.pk):
        entry = Entry.objects.get(event="quota.reached")
        delivery = Delivery.objects.get(event_type="quota.reached")
        notice = Notice.objects.get(kind="quota.reached")
    assert (entry.actor_type, entry.target_id) == ("system", str(key.pk))
    assert (entry.changes["used"], entry.changes["percent"]) == (100, 100)
    assert f'"key":{{"id":"{key.pk}"' in bytes(delivery.body).decode()
    assert str(key.pk) in notice.text
    assert "It starts anew at 2026-11-27 00:00 UTC" in notice.text


def test_a_month_is_told_of_as_a_month(hive: Account) -> None:
    count(hive, 85, period="month", starts_on=Period.MONTH.start(NOW.date()))
    assert warn() == 1
    assert subjects(hive) == ["The monthly quota of your account is nearly used up"]


def test_a_limit_that_was_raised_is_told_of_again(hive: Account) -> None:
    count(hive, 100)
    assert warn() == 1
    raise_to(hive, 110, allowed=200)
    assert warn() == 0
    raise_to(hive, 160)
    assert warn() == 1


def test_a_day_that_is_over_is_not_told_of(hive: Account) -> None:
    count(hive, 100, starts_on=datetime(2026, 11, 25).date())  # noqa: DTZ001 - a day
    assert warn() == 0


def test_what_failed_to_be_told_is_told_the_next_time(
    hive: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    count(hive, 100)

    def fail(*_: object) -> None:
        raise OSError

    with monkeypatch.context() as broken:
        broken.setattr(quota_warnings, "_mail", fail)
        with pytest.raises(OSError):
            warn()
    assert warn() == 1
    with tenant(hive.pk):
        assert Entry.objects.filter(event="quota.reached").count() == 1


def test_counters_of_long_ago_are_dropped(hive: Account) -> None:
    count(hive, 1, starts_on=datetime(2026, 8, 1).date())  # noqa: DTZ001 - a day
    count(hive, 1, period="month", starts_on=datetime(2026, 11, 1).date())  # noqa: DTZ001 - a day
    with as_role("worker"):
        assert quota_warnings.forget(NOW) == 1


def test_accepting_what_passes_a_mark_wakes_the_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rung: list[str] = []
    monkeypatch.setattr("queensmtp.bell.ring", lambda task, *, queue: rung.append(task))
    account = UUID(int=1)
    spending = Spending(account, (Quota(account, Period.DAY, 100),), 5, NOW.date())
    passed: Callable[[int], None] = lambda used: quota_counters.ring_when_reached(spending, [used])  # noqa: E731

    for used in (79, 80, 84, 85, 99, 100):
        rung.clear()
        passed(used)
        assert bool(rung) == (used in (80, 84, 100)), used
