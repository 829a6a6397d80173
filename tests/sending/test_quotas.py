"""Quotas: how many recipients an account, or a key, may write to in a day and a month (Q8)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.plans import Plan
from apikeys import actions as keys
from apikeys import gate
from apikeys.policy import KeyRecord
from apikeys.tokens import Environment
from auditlog.models import Entry
from queensmtp import configuration
from queensmtp.settings import PLANS
from queensmtp.tenancy import tenant
from sending import accept, quota_counters, quotas, scheduling, submissions
from sending.errors import DailyQuotaExceeded
from sending.gates import Refused
from sending.models import IdempotentRequest, Message, QuotaCounter, Recipient
from sending.periods import Period
from tests.console import get, post, sign_in, text
from tests.factories.cast import ORIGIN, Cast, make_cast, make_domain
from tests.factories.keys import bearer, make_key

BODY = {"from": "a@hive.example", "to": "ann@wasp.example", "subject": "Hello", "text": "Hi"}


def send(client: Client, token: str, body: Any = BODY, **headers: str) -> Any:
    path = "/v1/emails/batch" if isinstance(body, list) else "/v1/emails"
    return client.post(
        path,
        data=orjson.dumps(body),
        content_type="application/json",
        headers={**bearer(token), **headers},
    )


@pytest.fixture
def hive(cast: Cast) -> Cast:
    make_domain(cast.hive, "hive.example")
    return cast


@pytest.fixture
def allow(settings: LazySettings) -> Callable[..., None]:
    """Give the plan of everybody these quotas."""

    def give(*, daily: int | None = None, monthly: int | None = None) -> None:
        settings.DAILY_QUOTAS = {"community": daily} if daily else {}
        settings.MONTHLY_QUOTAS = {"community": monthly} if monthly else {}

    return give


def counters(cast: Cast) -> dict[str, int]:
    with tenant(cast.hive.pk):
        return {one.period: one.used for one in QuotaCounter.objects.all()}


def stored(cast: Cast) -> int:
    with tenant(cast.hive.pk):
        return Recipient.objects.count()


# --- Of the account ------------------------------------------------------------------------------


@pytest.mark.parametrize("period", ["daily", "monthly"])
def test_the_last_recipient_of_the_quota_is_accepted_and_no_further_one(
    client: Client, hive: Cast, allow: Callable[..., None], period: str
) -> None:
    allow(**{period: 2})
    _, token = make_key(hive.hive)

    answers = [send(client, token) for _ in range(3)]

    assert [one.status_code for one in answers] == [202, 202, 429]
    assert answers[2].json()["name"] == f"{period}_quota_exceeded"
    assert [one[f"x-resend-{period}-quota"] for one in answers] == ["1", "2", "2"]
    assert stored(hive) == 2


def test_the_refusal_says_when_the_quota_starts_anew_and_who_can_raise_it(
    client: Client, hive: Cast, allow: Callable[..., None]
) -> None:
    allow(daily=1)
    _, token = make_key(hive.hive)
    send(client, token)
    before = datetime.now(UTC)

    refused = send(client, token)

    tomorrow = (before + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    message = refused.json()["message"]
    assert (
        "The daily quota of this account is 1 recipient; 1 are used, and this asks for 1 more"
        in message
    )
    assert f"starts anew at {tomorrow:%Y-%m-%d}T00:00:00Z" in message
    assert "larger plan" in message
    wait = (tomorrow - before).total_seconds()
    assert wait - 5 <= int(refused["Retry-After"]) <= wait + 1


def test_each_recipient_counts_once(client: Client, hive: Cast, allow: Callable[..., None]) -> None:
    allow(daily=100, monthly=1_000)
    _, token = make_key(hive.hive)

    send(
        client, token, BODY | {"to": ["a@wasp.example", "b@wasp.example"], "bcc": "a@wasp.example"}
    )

    assert counters(hive) == {"day": 2, "month": 2}


def test_what_stays_in_the_sandbox_costs_nothing(
    client: Client, hive: Cast, allow: Callable[..., None]
) -> None:
    allow(daily=1)
    _, token = make_key(hive.hive)
    _, of_development = make_key(hive.hive, environment=Environment.DEVELOPMENT)

    for _ in range(3):
        assert send(client, token, BODY | {"to": "bounced@sandbox.example"}).status_code == 202
        assert send(client, of_development).status_code == 202

    assert counters(hive) == {}
    assert send(client, token).status_code == 202


def test_without_a_quota_no_counter_is_touched(client: Client, hive: Cast) -> None:
    _, token = make_key(hive.hive)
    with CaptureQueriesContext(connection) as queries:
        response = send(client, token)

    assert response.status_code == 202
    assert not [one for one in queries if "quota" in one["sql"].replace("daily_quota", "")]
    assert counters(hive) == {}


def test_a_replay_costs_nothing(client: Client, hive: Cast, allow: Callable[..., None]) -> None:
    allow(daily=1)
    _, token = make_key(hive.hive)

    codes = [send(client, token, idempotency_key="k").status_code for _ in range(3)]

    assert codes == [202, 202, 202]
    assert counters(hive) == {"day": 1}


def test_a_refusal_uses_up_neither_quota_nor_idempotency_key(
    client: Client, hive: Cast, allow: Callable[..., None]
) -> None:
    allow(daily=2, monthly=1)
    _, token = make_key(hive.hive)
    send(client, token)

    refused = send(client, token, idempotency_key="later")

    assert refused.json()["name"] == "monthly_quota_exceeded"
    assert counters(hive) == {"day": 1, "month": 1}
    with tenant(hive.hive.pk):
        assert not IdempotentRequest.objects.exists()
    allow(daily=2, monthly=5)
    assert send(client, token, idempotency_key="later").status_code == 202


def test_what_will_never_fit_is_not_told_to_come_again(
    client: Client, hive: Cast, allow: Callable[..., None]
) -> None:
    allow(daily=1)
    _, token = make_key(hive.hive)

    refused = send(client, token, BODY | {"to": ["a@wasp.example", "b@wasp.example"]})

    assert refused.status_code == 429
    assert "Send fewer at once" in refused.json()["message"]
    assert not refused.has_header("Retry-After")


def test_scheduled_mail_counts_when_it_is_accepted_and_a_cancel_gives_nothing_back(
    client: Client, hive: Cast, allow: Callable[..., None]
) -> None:
    allow(daily=2)
    _, token = make_key(hive.hive)
    answer = send(client, token, BODY | {"scheduled_at": "in 3 days"})
    with tenant(hive.hive.pk):
        message = Message.objects.get(pk=answer.json()["id"])
        scheduling.cancel(by=hive.alice.actor, message=message)

    assert counters(hive) == {"day": 1}
    assert send(client, token, BODY | {"scheduled_at": "in 3 days"}).status_code == 202
    refused = send(client, token, BODY | {"scheduled_at": "in 3 days"})
    assert refused.json()["name"] == "daily_quota_exceeded"
    assert stored(hive) == 2


def test_a_quota_that_is_given_later_counts_what_was_accepted_before(
    client: Client, hive: Cast, allow: Callable[..., None]
) -> None:
    _, token = make_key(hive.hive)
    _, of_development = make_key(hive.hive, environment=Environment.DEVELOPMENT)
    send(client, token, [BODY, BODY | {"to": ["x@wasp.example", "y@sandbox.example"]}])
    send(client, of_development)
    allow(daily=4, monthly=4)

    assert [send(client, token).status_code for _ in range(3)] == [202, 202, 429]
    assert counters(hive) == {"day": 4, "month": 4}


def test_another_account_has_counters_of_its_own(
    client: Client, hive: Cast, allow: Callable[..., None]
) -> None:
    allow(daily=1)
    make_domain(hive.wasp, "wasp.example")
    _, token = make_key(hive.hive)
    _, of_charlie = make_key(hive.wasp)
    send(client, token)

    assert send(client, of_charlie, BODY | {"from": "c@wasp.example"}).status_code == 202


def test_a_message_that_a_person_sends_again_counts(
    client: Client, hive: Cast, allow: Callable[..., None]
) -> None:
    allow(daily=2)
    _, token = make_key(hive.hive)
    email_id = send(client, token).json()["id"]
    alice = sign_in(hive.alice.user)

    post(alice, f"/console/messages/{email_id}/resend")
    assert counters(hive) == {"day": 2}
    post(alice, f"/console/messages/{email_id}/resend")

    assert "The daily quota of this account is 2" in text(
        get(alice, f"/console/messages/{email_id}")
    )
    assert (counters(hive), stored(hive)) == ({"day": 2}, 2)


def test_the_owner_reads_why_in_the_audit_log(
    client: Client, hive: Cast, allow: Callable[..., None]
) -> None:
    allow(daily=1)
    _, token = make_key(hive.hive)
    send(client, token)
    send(client, token)

    with tenant(hive.hive.pk):
        refused = Entry.objects.get(event="email.submitted", outcome="refused")
    assert refused.changes["reason"] == "daily_quota_exceeded"


# --- Batches -------------------------------------------------------------------------------------


def test_a_strict_batch_with_less_room_than_items_is_refused_whole(
    client: Client, hive: Cast, allow: Callable[..., None], settings: LazySettings
) -> None:
    settings.BATCH_MAX = 200
    allow(daily=100)
    _, token = make_key(hive.hive)

    refused = send(client, token, [BODY] * 101, idempotency_key="b")

    assert refused.json()["name"] == "daily_quota_exceeded"
    assert stored(hive) == 0
    taken = send(client, token, [BODY] * 100)
    assert (taken.status_code, taken["x-resend-daily-quota"]) == (202, "100")


def test_a_permissive_batch_takes_in_order_what_fits_and_names_the_rest(
    client: Client, hive: Cast, allow: Callable[..., None]
) -> None:
    allow(daily=4)
    _, token = make_key(hive.hive)
    send(client, token)
    two = BODY | {"to": ["b@wasp.example", "c@wasp.example"]}

    answer = send(
        client,
        token,
        [two, two, BODY | {"to": "nobody"}, BODY, BODY],
        **{"x-batch-validation": "permissive", "idempotency-key": "p"},
    )

    assert answer.status_code == 202, answer.content
    assert len(answer.json()["data"]) == 2
    assert [one["index"] for one in answer.json()["errors"]] == [1, 2, 4]
    assert "daily quota" in answer.json()["errors"][0]["message"]
    assert (counters(hive), stored(hive)) == ({"day": 4}, 4)


def test_a_permissive_batch_of_which_nothing_fits_is_refused(
    client: Client, hive: Cast, allow: Callable[..., None]
) -> None:
    allow(daily=1)
    _, token = make_key(hive.hive)
    send(client, token)

    refused = send(client, token, [BODY, BODY], **{"x-batch-validation": "permissive"})

    assert (refused.status_code, stored(hive)) == (429, 1)
    assert refused.json()["name"] == "daily_quota_exceeded"


# --- Of a key ------------------------------------------------------------------------------------


def test_a_keys_own_quota_binds_it_alone(client: Client, hive: Cast) -> None:
    _, token = make_key(hive.hive, daily_quota=1)
    _, other = make_key(hive.hive)

    assert [send(client, token).status_code for _ in range(2)] == [202, 429]
    refused = send(client, token)
    assert refused.json()["name"] == "daily_quota_exceeded"
    assert "The daily quota of this API key is 1" in refused.json()["message"]
    assert "An admin of the account can raise it" in refused.json()["message"]
    assert not refused.has_header("x-resend-daily-quota")
    assert send(client, other).status_code == 202


def test_rotating_a_key_does_not_renew_its_quota(client: Client, hive: Cast) -> None:
    key, token = make_key(hive.hive, daily_quota=2)
    send(client, token)
    with tenant(hive.hive.pk):
        second, of_second = keys.rotate(by=hive.alice.actor, key=key, overlap_seconds=3600)
        _, of_third = keys.rotate(by=hive.alice.actor, key=second, overlap_seconds=3600)

    codes = [send(client, one).status_code for one in (of_third.text, of_second.text, token)]

    assert codes == [202, 429, 429]


def test_a_key_made_by_a_key_with_a_quota_draws_on_the_same_one(client: Client, hive: Cast) -> None:
    _, token = make_key(hive.hive, daily_quota=2)
    wanted = {"name": "child", "environment": "production", "scopes": ["email:send"]}

    def ask(**more: Any) -> Any:
        return client.post(
            "/v1/keys",
            data=orjson.dumps({**wanted, **more}),
            content_type="application/json",
            headers=bearer(token),
        )

    assert [one["field"] for one in ask().json()["errors"]] == ["daily_quota"]
    assert [one["field"] for one in ask(daily_quota=3).json()["errors"]] == ["daily_quota"]
    child = ask(daily_quota=2).json()
    assert child["daily_quota"] == 2
    codes = [send(client, one).status_code for one in (child["token"], token, child["token"])]
    assert codes == [202, 202, 429]


@pytest.mark.parametrize("given", [0, -1, True, "5", 1.5, 1_000_000_001])
def test_a_daily_quota_is_a_whole_number(client: Client, hive: Cast, given: Any) -> None:
    key, token = make_key(hive.hive)
    refused = client.patch(
        f"/v1/keys/{make_key(hive.hive)[0].pk}",
        data=orjson.dumps({"daily_quota": given}),
        content_type="application/json",
        headers=bearer(token),
    )
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "daily_quota"


def test_a_quota_that_a_key_gets_later_counts_what_it_sent_today(
    client: Client, hive: Cast
) -> None:
    key, token = make_key(hive.hive)
    _, other = make_key(hive.hive)
    for one in (token, token, other):
        send(client, one)
    with tenant(hive.hive.pk):
        keys.update(by=hive.alice.actor, key=key, changes={"daily_quota": 3})

    assert [send(client, token).status_code for _ in range(2)] == [202, 429]


# --- All at once ---------------------------------------------------------------------------------


@pytest.fixture
def crowded(transactional_db: None) -> Iterator[tuple[Cast, KeyRecord]]:
    cast = make_cast()
    make_domain(cast.hive, "hive.example")
    _, token = make_key(cast.hive, rate_requests=100_000, rate_per_seconds=1, daily_quota=100)
    presented = gate.present(token, origin=ORIGIN)
    assert presented.record is not None
    yield cast, presented.record


def test_of_a_thousand_at_once_exactly_the_quota_is_accepted(
    crowded: tuple[Cast, KeyRecord], allow: Callable[..., None]
) -> None:
    cast, record = crowded
    allow(daily=150, monthly=200)
    submission = submissions.read(BODY, recipients_maximum=50)
    actor = gate.actor_of(record, origin=ORIGIN)

    def attempt(_: int) -> bool:
        try:
            accept.accept_email(submission, key=record, actor=actor, via="api")
        except Refused as refused:
            assert isinstance(refused.error, DailyQuotaExceeded)
            return False
        finally:
            connections.close_all()
        return True

    with ThreadPoolExecutor(12) as threads:
        accepted = sum(threads.map(attempt, range(1_000)))

    assert (accepted, stored(cast)) == (100, 100)
    spending = quotas.spending_of_key(record, ["ann@wasp.example"], now=datetime.now(UTC))
    assert spending is not None
    used = quota_counters.used_of(spending)
    assert used == [quota_counters.ledger(spending, one) for one in spending.quotas] == [100] * 3


def test_many_who_find_no_counter_open_it_once_with_what_was_accepted_before(
    crowded: tuple[Cast, KeyRecord], allow: Callable[..., None]
) -> None:
    cast, record = crowded
    submission = submissions.read(BODY, recipients_maximum=50)
    actor = gate.actor_of(record, origin=ORIGIN)
    unlimited = replace(record, daily_quota=None)
    for _ in range(3):
        accept.accept_email(submission, key=unlimited, actor=actor, via="api")
    allow(monthly=1_000)

    def attempt(_: int) -> None:
        try:
            accept.accept_email(submission, key=record, actor=actor, via="api")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(attempt, range(16)))

    assert counters(cast) == {"day": 19, "month": 19}


# --- Periods -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("period", "today", "start", "end"),
    [
        (Period.DAY, "2026-02-28", "2026-02-28", "2026-03-01"),
        (Period.MONTH, "2026-01-31", "2026-01-01", "2026-02-01"),
        (Period.MONTH, "2026-12-01", "2026-12-01", "2027-01-01"),
        (Period.MONTH, "2028-02-29", "2028-02-01", "2028-03-01"),
    ],
)
def test_a_period_begins_and_ends_at_midnight(
    period: Period, today: str, start: str, end: str
) -> None:
    day = datetime.fromisoformat(today).date()
    assert (period.start(day).isoformat(), period.end(day).isoformat()) == (start, end)


def test_a_new_day_starts_at_nothing_and_the_month_goes_on(
    hive: Cast, allow: Callable[..., None]
) -> None:
    allow(daily=1, monthly=2)
    record = gate.present(make_key(hive.hive)[1], origin=ORIGIN).record
    assert record is not None
    last = datetime(2026, 11, 26, 23, 59, 59, tzinfo=UTC)

    def spend(now: datetime) -> None:
        spending = quotas.spending_of_key(record, ["ann@wasp.example"], now=now)
        with tenant(hive.hive.pk):
            quota_counters.spend_alone(spending)

    for now in (last, last + timedelta(seconds=1)):
        spend(now)
        with pytest.raises(Refused):
            spend(now)

    with tenant(hive.hive.pk):
        used = QuotaCounter.objects.order_by("period", "starts_on").values_list("used", flat=True)
        assert list(used) == [1, 1, 2]


# --- Settings ------------------------------------------------------------------------------------


def test_quotas_are_set_by_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAILY_QUOTAS", "community=100, team = 5000,")
    assert configuration.counts("DAILY_QUOTAS", of=PLANS) == {"community": 100, "team": 5000}
    monkeypatch.delenv("DAILY_QUOTAS")
    assert configuration.counts("DAILY_QUOTAS", of=PLANS) == {}


@pytest.mark.parametrize("given", ["comunity=100", "100", "team=0", "team=-1", "team=", "team=ten"])
def test_a_quota_that_is_mistyped_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("DAILY_QUOTAS", given)
    with pytest.raises(ImproperlyConfigured, match="write it like community=1000"):
        configuration.counts("DAILY_QUOTAS", of=PLANS)


def test_the_plans_of_the_settings_are_those_of_accounts() -> None:
    assert list(Plan) == list(PLANS)
