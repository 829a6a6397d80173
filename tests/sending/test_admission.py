"""What was claimed and may not leave yet: held back, slowed down, or over a day's warm-up."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from domains.models import Domain
from queensmtp.tenancy import tenant
from sending import (
    actions,
    admission,
    destinations,
    mime,
    parcels,
    queue,
    warmup,
)
from sending.models import Destination, Hold, HoldKind, Recipient, Warmup
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.factories.keys import make_key
from tests.roles import as_role
from tests.smtp_sink import Script, SmtpSink


@pytest.fixture
def domain(cast: Cast) -> Domain:
    return make_domain(cast.hive, "hive.example")


def deliver_due() -> int:
    with as_role("worker"):
        return actions.deliver_due()


def recipients(cast: Cast) -> list[Recipient]:
    with tenant(cast.hive.pk):
        return list(Recipient.objects.order_by("id"))


def hold(cast: Cast, kind: HoldKind, name: str = "") -> None:
    with tenant(cast.hive.pk):
        Hold.objects.create(
            account=cast.hive, kind=kind, name=name, reason="a wrong link", created_by="alice"
        )


def slow(domain: str, *, rests: bool = False, paused: bool = False, allowed: int = 1) -> None:
    now = timezone.now()
    with as_role("worker"):
        Destination.objects.create(
            domain=domain,
            allowed=allowed,
            resting_until=now + timedelta(minutes=1) if rests else None,
            is_paused=paused,
            reply="450 4.7.0 slow down",
        )


# Fair claims


def test_two_accounts_get_equal_shares_of_a_claim(cast: Cast, domain: Domain) -> None:
    make_domain(cast.wasp, "wasp.example")
    key, theirs = make_key(cast.hive)[0], make_key(cast.wasp)[0]
    for _ in range(20):
        make_email(cast.hive, key=key)
    for _ in range(3):
        make_email(cast.wasp, key=theirs, sender="w@wasp.example")

    with as_role("worker"):
        soon = timezone.now() + timedelta(seconds=1)
        claimed = queue.claim(limit=6, lease_seconds=60, now=soon)

    accounts = [one.account_id for one in claimed]
    assert accounts.count(cast.hive.pk) == accounts.count(cast.wasp.pk) == 3


def test_a_few_do_not_wait_for_the_flood_of_another(
    cast: Cast, domain: Domain, sink: SmtpSink, settings: Any
) -> None:
    settings.DELIVERY_CONNECTIONS = settings.DELIVERY_CONNECTIONS_PER_DESTINATION = 2
    make_domain(cast.wasp, "wasp.example")
    key, theirs = make_key(cast.hive)[0], make_key(cast.wasp)[0]
    for _ in range(60):
        make_email(cast.hive, key=key)
    for _ in range(4):
        make_email(cast.wasp, key=theirs, sender="w@wasp.example")

    with as_role("worker"):
        assert actions.deliver_due(limit=8) == 64

    few = [at for at, one in enumerate(sink.messages) if b"From: w@wasp.example" in one.content]
    assert len(sink.messages) == 64
    assert len(few) == 4
    assert max(few) < 16


def test_an_account_alone_gets_all_of_a_claim(cast: Cast, domain: Domain) -> None:
    for _ in range(5):
        make_email(cast.hive)
    with as_role("worker"):
        soon = timezone.now() + timedelta(seconds=1)
        assert len(queue.claim(limit=4, lease_seconds=60, now=soon)) == 4
        assert len(queue.claim(limit=4, lease_seconds=60, now=soon)) == 1


def test_a_crowded_destination_is_stepped_over(cast: Cast, domain: Domain) -> None:
    make_email(cast.hive, to="a@slow.example")
    make_email(cast.hive, to="b@quick.example")
    with as_role("worker"):
        soon = timezone.now() + timedelta(seconds=1)
        claimed = queue.claim(limit=9, lease_seconds=60, now=soon, crowded=["slow.example"])
    assert [one.domain for one in claimed] == ["quick.example"]


# Put back


def test_what_is_put_back_keeps_its_doubt_and_its_attempts(cast: Cast, domain: Domain) -> None:
    make_email(cast.hive)
    soon = timezone.now() + timedelta(seconds=1)
    with as_role("worker"):
        (first,) = queue.claim(limit=1, lease_seconds=1, now=soon)
        actions.put_lost_in_doubt(now=soon + timedelta(minutes=1))
        later = soon + timedelta(minutes=2)
        (second,) = queue.claim(limit=1, lease_seconds=60, now=later)
        queue.put_back([queue.PutBack(first, later), queue.PutBack(second, later, "Waiting.")])

    (recipient,) = recipients(cast)
    assert (recipient.state, recipient.attempts) == ("in_doubt", 1)
    assert recipient.reply == "Waiting."


# Held by an admin


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (HoldKind.ACCOUNT, ""),
        (HoldKind.DOMAIN, "hive.example"),
        (HoldKind.DESTINATION, "wasp.example"),
    ],
)
def test_what_is_held_back_does_not_leave_and_says_so(
    cast: Cast, domain: Domain, sink: SmtpSink, kind: HoldKind, name: str
) -> None:
    make_email(cast.hive)
    hold(cast, kind, name)

    deliver_due()

    (recipient,) = recipients(cast)
    assert sink.messages == []
    assert (recipient.state, recipient.attempts) == ("queued", 0)
    assert recipient.reply.startswith("Held back: alice paused")
    assert "a wrong link" in recipient.reply
    assert recipient.due_at > timezone.now()


def test_a_hold_of_one_destination_lets_the_others_go(
    cast: Cast, domain: Domain, sink: SmtpSink
) -> None:
    make_email(cast.hive, to="a@wasp.example", cc="b@bee.example")
    hold(cast, HoldKind.DESTINATION, "wasp.example")
    deliver_due()
    assert [one.state for one in recipients(cast)] == ["queued", "delivered"]


def test_a_hold_binds_only_its_own_account(cast: Cast, domain: Domain, sink: SmtpSink) -> None:
    with tenant(cast.wasp.pk):
        Hold.objects.create(account=cast.wasp, kind=HoldKind.ACCOUNT, created_by="charlie")
    make_email(cast.hive)
    deliver_due()
    assert len(sink.messages) == 1


# Destinations


def test_a_destination_that_rests_is_left_alone_until_then(
    cast: Cast, domain: Domain, sink: SmtpSink
) -> None:
    slow("wasp.example", rests=True)
    make_email(cast.hive)
    make_email(cast.hive, to="c@bee.example")

    deliver_due()

    resting, other = recipients(cast)
    assert (resting.state, other.state) == ("queued", "delivered")
    assert resting.due_at > timezone.now() + timedelta(seconds=60)
    assert "slow down" in resting.reply


def test_an_operator_can_pause_a_destination(cast: Cast, domain: Domain, sink: SmtpSink) -> None:
    slow("wasp.example", paused=True)
    make_email(cast.hive)
    deliver_due()
    assert sink.messages == []
    assert "the operator paused" in recipients(cast)[0].reply


def test_a_destination_that_puts_us_off_is_slowed_down_and_recovers(
    cast: Cast, domain: Domain, sink: SmtpSink, settings: Any
) -> None:
    settings.DELIVERY_CONNECTIONS_PER_DESTINATION = 2
    sink.script = Script(recipients={"ann@wasp.example": "421 4.7.0 too fast"})
    make_email(cast.hive)
    deliver_due()
    with as_role("worker"):
        row = Destination.objects.get(domain="wasp.example")
    assert (row.allowed, row.failure_count) == (1, 1)
    assert row.resting_until is not None and row.resting_until > timezone.now()

    sink.script = Script()
    with as_role("worker"):
        Destination.objects.update(resting_until=None)
        Recipient.objects.update(due_at=timezone.now())
    deliver_due()
    with as_role("worker"):
        assert not Destination.objects.exists()


def test_our_own_fault_slows_no_destination(
    cast: Cast, domain: Domain, sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> bytes:
        raise RuntimeError("a bug")

    monkeypatch.setattr(mime, "build", broken)
    make_email(cast.hive)
    deliver_due()
    with as_role("worker"):
        assert not Destination.objects.exists()


def test_mail_to_a_destination_that_is_well_asks_nothing_of_the_table(
    cast: Cast, domain: Domain, sink: SmtpSink, django_assert_num_queries: Any
) -> None:
    with as_role("worker"), django_assert_num_queries(0):
        destinations.learn([], limited=[], now=timezone.now())


# Warm-up


def warm_up(domain: Domain, *, sent: int = 0, days: int = 0) -> None:
    today = timezone.now().date()
    with tenant(domain.account_id):
        Warmup.objects.create(
            account_id=domain.account_id,
            domain=domain,
            started_on=today - timedelta(days=days),
            counted_on=today,
            sent_count=sent,
        )


def test_a_young_domain_sends_what_its_day_allows_and_the_rest_tomorrow(
    cast: Cast, domain: Domain, sink: SmtpSink
) -> None:
    warm_up(domain, sent=warmup.FIRST_DAY_LIMIT - 1)
    make_email(cast.hive)
    make_email(cast.hive)

    deliver_due()

    states = sorted(one.state for one in recipients(cast))
    assert states == ["delivered", "queued"]
    waiting = next(one for one in recipients(cast) if one.state == "queued")
    assert waiting.due_at > warmup.next_day(timezone.now())
    assert "warming up" in waiting.reply


def test_the_next_day_counts_anew(cast: Cast, domain: Domain, sink: SmtpSink) -> None:
    warm_up(domain, sent=warmup.FIRST_DAY_LIMIT)
    with as_role("worker"):
        Warmup.objects.update(counted_on=timezone.now().date() - timedelta(days=1))
    make_email(cast.hive)
    deliver_due()
    assert len(sink.messages) == 1
    with tenant(cast.hive.pk):
        assert Warmup.objects.get().sent_count == 1


def test_a_retry_does_not_count_again(cast: Cast, domain: Domain) -> None:
    warm_up(domain, sent=warmup.FIRST_DAY_LIMIT)
    make_email(cast.hive)
    with as_role("worker"):
        Recipient.objects.update(attempts=1, state="deferred")
        soon = timezone.now() + timedelta(seconds=1)
        claimed = queue.claim(limit=1, lease_seconds=60, now=soon)
        sorted_out = admission.admit(parcels.pack(claimed, begin_by=0.0), now=soon)
    assert len(sorted_out.admitted) == 1


@pytest.mark.parametrize(("days", "limit"), [(0, 50), (1, 100), (13, 409_600), (14, None)])
def test_the_schedule_doubles_for_two_weeks(days: int, limit: int | None) -> None:
    start = datetime(2026, 11, 1, tzinfo=UTC).date()
    assert warmup.limit_on(start + timedelta(days=days), started_on=start) == limit
