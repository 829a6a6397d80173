"""Requests that come at once are stored by one commit, and each is answered as if it were alone."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
import psycopg
import pytest
from django.db import connection
from django.test import Client

from accounts.models import Account
from apikeys import actions as keys
from auditlog.models import Entry
from contacts import actions as contacts
from contacts.actions import Wanted
from contacts.models import Origin
from domains import senders
from queensmtp import addresses, together
from queensmtp.tenancy import tenant
from queensmtp.together import Desk, Elsewhere
from sending import group_commit, quota_counters, quotas, rows
from sending.group_commit import Order
from sending.models import IdempotentRequest, Message, Recipient
from sending.quotas import Spending
from sending.rows import Draft
from tests.factories.cast import Cast, make_cast, make_domain
from tests.factories.keys import bearer, make_key

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def cast() -> Cast:
    cast = make_cast()
    make_domain(cast.hive, "hive.example")
    make_domain(cast.wasp, "wasp.example")
    return cast


def sending(
    token: str,
    *,
    sender: str = "a@hive.example",
    headers: Mapping[str, str] | None = None,
    **body: Any,
) -> together.Call:
    """A request that is yet to be made."""
    mail = {"from": sender, "to": "ann@bee.example", "subject": "Hi", "text": "Hi"}

    def send() -> Any:
        return Client(raise_request_exception=False).post(
            "/v1/emails",
            orjson.dumps({**mail, **body}),
            content_type="application/json",
            headers={**bearer(token), **(headers or {})},
        )

    return send


def answers(*calls: together.Call) -> list[Any]:
    return [future.result(timeout=0) for future in together.run(calls)]


def statuses(*calls: together.Call) -> list[int]:
    return [response.status_code for response in answers(*calls)]


def spending_of(account: Account) -> Spending:
    bound = quotas.of_account(account.pk, account.plan)
    return Spending(account.pk, bound, 1, datetime.now(UTC).date())


def subjects(account: Account) -> list[str]:
    with tenant(account.pk):
        return list(Message.objects.order_by("id").values_list("subject", flat=True))


def test_each_has_its_message_its_recipients_and_its_audit_entry(cast: Cast) -> None:
    _, token = make_key(cast.hive)
    calls = [
        sending(token, subject=str(n), to=[f"ann{n}@bee.example", "b@bee.example"])
        for n in range(5)
    ]

    responses = answers(*calls)

    assert [response.status_code for response in responses] == [202] * 5
    with tenant(cast.hive.pk):
        for n, response in enumerate(responses):
            message = Message.objects.get(pk=response.json()["id"])
            assert (message.subject, message.via) == (str(n), "api")
            assert message.request_id == response["X-Request-Id"]
            recipients = Recipient.objects.filter(message=message)
            assert {one.address for one in recipients} == {f"ann{n}@bee.example", "b@bee.example"}
            entry = Entry.objects.get(request_id=message.request_id)
            assert (entry.event, entry.target_id) == ("email.submitted", str(message.pk))
        assert Entry.objects.filter(event="email.submitted").count() == 5


def as_app(call: together.Call) -> together.Call:
    """In a thread of its own, whose connection ends with it."""

    def work() -> Any:
        try:
            return call()
        finally:
            connection.close()

    return work


def transactions() -> set[int]:
    """The transactions that the messages of both accounts were stored by."""
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE worker")
        cursor.execute("SELECT DISTINCT xmin::text::bigint FROM sending_message")
        found = {row[0] for row in cursor.fetchall()}
        cursor.execute("SET ROLE app")
    return found


def test_mail_of_several_accounts_and_keys_is_one_commit(cast: Cast) -> None:
    _, one = make_key(cast.hive)
    _, other = make_key(cast.hive)
    _, charlies = make_key(cast.wasp)
    calls = [
        sending(one, subject="one"),
        sending(charlies, sender="c@wasp.example", subject="of Charlie"),
        sending(other, subject="other"),
        sending(charlies, sender="a@hive.example", subject="not Charlie's domain"),
    ]

    assert statuses(*calls) == [202, 202, 202, 403]

    assert len(transactions()) == 1
    assert sorted(subjects(cast.hive)) == ["one", "other"]
    assert subjects(cast.wasp) == ["of Charlie"]


def test_what_is_refused_hurts_nobody_else(cast: Cast) -> None:
    _, token = make_key(cast.hive)
    _, narrow = make_key(cast.hive, domains=("other.example",))
    calls = [
        sending(token, subject="first"),
        sending(token, to=[]),
        sending(narrow),
        sending(token[:-1] + ("a" if token[-1] != "a" else "b")),
        sending(token, sender="a@nobody.example"),
        sending(token, subject="last"),
    ]

    assert statuses(*calls) == [202, 422, 403, 401, 403, 202]
    assert subjects(cast.hive) == ["first", "last"]


def test_a_poison_fails_alone(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    _, token = make_key(cast.hive)
    _, charlies = make_key(cast.wasp)
    row_of, params_of = rows._message_row, rows.message_params

    def poisoned(draft: Draft) -> tuple[Any, ...]:
        if draft.submission.subject == "poison":
            return ("not a uuid", *row_of(draft)[1:])
        return row_of(draft)

    def poisoned_alone(draft: Draft, **others: Any) -> list[Any]:
        params = params_of(draft, **others)
        return ["not a uuid", *params[1:]] if draft.submission.subject == "poison" else params

    monkeypatch.setattr(rows, "_message_row", poisoned)
    monkeypatch.setattr(rows, "message_params", poisoned_alone)
    calls = [
        sending(token, subject="a"),
        sending(token, subject="poison"),
        sending(charlies, sender="c@wasp.example", subject="of Charlie"),
        sending(token, subject="b"),
    ]

    assert statuses(*calls) == [202, 500, 202, 202]
    assert sorted(subjects(cast.hive)) == ["a", "b"]
    assert subjects(cast.wasp) == ["of Charlie"]


def test_repeats_of_an_idempotency_key_are_one_message(cast: Cast) -> None:
    _, token = make_key(cast.hive)
    headers = {"Idempotency-Key": "order-17"}
    calls = [
        sending(token, headers=headers, subject="once"),
        sending(token, headers=headers, subject="once"),
        sending(token, headers={"Idempotency-Key": "order-18"}, subject="another"),
        sending(token, headers=headers, subject="not the same"),
        sending(token, headers=headers, subject="once"),
    ]

    responses = answers(*calls)

    assert [one.status_code for one in responses] == [202, 202, 202, 409, 202]
    assert responses[0].json() == responses[1].json() == responses[4].json()
    replayed = [one.get("Idempotent-Replayed") for one in responses]
    assert replayed == [None, "true", None, None, "true"]
    assert sorted(subjects(cast.hive)) == ["another", "once"]
    with tenant(cast.hive.pk):
        assert IdempotentRequest.objects.count() == 2
    again = answers(sending(token, headers=headers, subject="once"), sending(token))
    assert again[0].json() == responses[0].json()


def test_a_twin_that_was_stored_meanwhile_is_answered_first(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = make_key(cast.hive)
    once = sending(token, headers={"Idempotency-Key": "order-17"}, subject="once")
    store, twins = group_commit.store, []

    def after_the_twin(orders: Sequence[Order]) -> Any:
        with ThreadPoolExecutor(1) as elsewhere:
            twins.append(elsewhere.submit(as_app(once)).result(timeout=20))
        return store(orders)

    monkeypatch.setattr(group_commit, "store", after_the_twin)
    responses = answers(once, sending(token, subject="plain"))

    assert [one.status_code for one in responses] == [202, 202]
    assert responses[0].json() == twins[0].json()
    assert responses[0]["Idempotent-Replayed"] == "true"
    assert sorted(subjects(cast.hive)) == ["once", "plain"]


def test_a_key_that_is_revoked_in_the_middle_sends_nothing(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying, token = make_key(cast.hive)
    _, living = make_key(cast.hive)
    store = group_commit.store

    def revoke_first(orders: Sequence[Order]) -> Any:
        with tenant(cast.hive.pk):
            keys.revoke(by=cast.alice.actor, key=dying)
        return store(orders)

    monkeypatch.setattr(group_commit, "store", revoke_first)
    calls = [sending(token), sending(living, subject="lives"), sending(token)]

    assert statuses(*calls) == [401, 202, 401]
    assert subjects(cast.hive) == ["lives"]


def test_a_database_that_dies_in_the_middle_leaves_nobody_waiting(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = make_key(cast.hive)
    store = group_commit.store

    def kill_first(orders: Sequence[Order]) -> Any:
        url = os.environ["DATABASE_ADMIN_URL"].replace("postgres://", "postgresql://", 1)
        pid = connection.connection.info.backend_pid
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        return store(orders)

    with monkeypatch.context() as patch:
        patch.setattr(group_commit, "store", kill_first)
        assert statuses(*[sending(token)] * 3) == [503] * 3

    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE app")
    assert subjects(cast.hive) == []
    assert statuses(*[sending(token)] * 3) == [202] * 3


def test_each_takes_from_the_rate_as_if_it_came_alone(cast: Cast) -> None:
    _, token = make_key(cast.hive, rate_requests=3, rate_per_seconds=3600)
    _, other = make_key(cast.hive)

    responses = answers(*[sending(token)] * 2, sending(other), *[sending(token)] * 3)

    assert [one.status_code for one in responses] == [202, 202, 202, 202, 429, 429]
    left = [int(one["ratelimit-remaining"]) for one in responses]
    assert left == [2, 1, 499, 0, 0, 0]


def test_each_spends_from_a_quota_as_if_it_came_alone(cast: Cast, settings: Any) -> None:
    settings.DAILY_QUOTAS = {cast.hive.plan: 4}
    _, token = make_key(cast.hive)

    responses = answers(*[sending(token)] * 2, sending(token, to=["a@bee.example"]))
    assert [one.status_code for one in responses] == [202] * 3
    responses = answers(*[sending(token)] * 3)

    assert sorted(one.status_code for one in responses) == [202, 429, 429]
    assert responses[0]["x-resend-daily-quota"] == "4"
    assert len(subjects(cast.hive)) == 4


def test_a_quota_counts_only_what_was_stored(cast: Cast, settings: Any) -> None:
    settings.DAILY_QUOTAS = {cast.hive.plan: 10}
    _, token = make_key(cast.hive)
    answers(sending(token))

    responses = answers(sending(token), sending(token, sender="a@nobody.example"), sending(token))

    assert [one.status_code for one in responses] == [202, 403, 202]
    used = [one.get("x-resend-daily-quota") for one in responses]
    assert used == ["2", None, "3"]


def test_sender_identities_and_suppressions_are_looked_up_for_each(cast: Cast) -> None:
    _, token = make_key(cast.hive)
    with tenant(cast.hive.pk):
        senders.create(
            by=cast.alice.actor,
            email=addresses.parse("a@hive.example"),
            name="Ann",
            reply_to="r@hive.example",
        )
        contacts.suppress(by=cast.alice.actor, wanted=[Wanted("gone@bee.example", Origin.MANUAL)])
    calls = [
        sending(token, to=["gone@bee.example", "here@bee.example"]),
        sending(token, sender="Other <a@hive.example>", reply_to="x@hive.example"),
        sending(token, sender="b@hive.example"),
    ]

    assert statuses(*calls) == [202] * 3

    with tenant(cast.hive.pk):
        stored = Message.objects.order_by("id").values_list("sender", "reply_to")
        assert list(stored) == [
            ("Ann <a@hive.example>", ["r@hive.example"]),
            ("Other <a@hive.example>", ["x@hive.example"]),
            ("b@hive.example", None),
        ]
        states = dict(Recipient.objects.values_list("address", "state"))
        assert states["gone@bee.example"] == "suppressed"
        assert states["here@bee.example"] == states["ann@bee.example"] == "queued"


def test_scheduled_mail_goes_with_the_others(cast: Cast) -> None:
    _, token = make_key(cast.hive)

    assert statuses(*[sending(token), sending(token, scheduled_at="in 1 hour")] * 2) == [202] * 4

    with tenant(cast.hive.pk):
        states = Recipient.objects.order_by("state").values_list("state", flat=True)
        assert list(states) == ["queued", "queued", "scheduled", "scheduled"]


@pytest.fixture
def at_a_desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(together._here, "is_desk", True, raising=False)
    together.wait_briefly(connection)
    yield
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE app")


@contextmanager
def locked(table: str, account: Account) -> Iterator[None]:
    """What is of an account, as if another transaction had it in its hands."""
    url = os.environ["DATABASE_ADMIN_URL"].replace("postgres://", "postgresql://", 1)
    with psycopg.connect(url, dbname=connection.settings_dict["NAME"]) as other:
        other.execute(f"SELECT 1 FROM {table} WHERE account_id = %s FOR UPDATE", [account.pk])
        yield
        other.rollback()


def ends(*calls: together.Call) -> list[Any]:
    """The status of each, or that it went elsewhere."""
    futures = together.run(calls)
    return [
        "elsewhere" if isinstance(one.exception(), Elsewhere) else one.result().status_code
        for one in futures
    ]


@pytest.mark.usefixtures("at_a_desk")
def test_a_lock_on_one_account_keeps_the_others_for_a_moment_only(
    cast: Cast, settings: Any
) -> None:
    _, theirs = make_key(cast.wasp)
    tokens = [make_key(cast.hive)[1] for _ in range(6)]
    once = sending(tokens[0], headers={"Idempotency-Key": "order-17"}, scheduled_at="in 1 hour")
    settings.DAILY_QUOTAS = {cast.hive.plan: 100}
    with tenant(cast.hive.pk):
        quota_counters._open(spending_of(cast.hive))
    with tenant(cast.wasp.pk):
        quota_counters._open(spending_of(cast.wasp))
    held = [sending(token) for token in tokens for _ in range(5)]
    began = time.monotonic()
    with locked("sending_quotacounter", cast.hive):
        found = ends(*held, once, *[sending(theirs, sender="a@wasp.example")] * 5)

    assert time.monotonic() - began < 4
    assert set(found[:-5]) == {"elsewhere"}
    assert found[-5:] == [202] * 5
    assert subjects(cast.hive) == []
    assert ends(*held[:3]) == [202] * 3


@pytest.mark.usefixtures("at_a_desk")
def test_the_counting_for_a_new_quota_keeps_nobody_waiting(cast: Cast, settings: Any) -> None:
    settings.DAILY_QUOTAS = {cast.hive.plan: 100}
    _, token = make_key(cast.hive)

    assert ends(*[sending(token)] * 2) == ["elsewhere"] * 2
    assert ends(sending(token)) == ["elsewhere"]


def in_a_thread(desk: Desk, call: together.Call) -> Any:
    future: Future[Any] = Future()
    desk.submit(call, future)
    return future.result(timeout=20)


def test_nobody_hangs_whatever_a_call_raises() -> None:
    desk = Desk("tests", at_once=8)

    def end() -> None:
        raise SystemExit(3)

    with ThreadPoolExecutor(8) as callers:
        calls = [end if n % 3 == 0 else (lambda n=n: n) for n in range(60)]
        asked = [callers.submit(in_a_thread, desk, call) for call in calls]
        for n, one in enumerate(asked):
            if n % 3 == 0:
                assert isinstance(one.exception(timeout=20), SystemExit)
            else:
                assert one.result(timeout=20) == n


def test_nobody_hangs_when_the_group_itself_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk("tests", at_once=8)

    def broken(_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(together._Group, "run", broken)
        with pytest.raises(MemoryError):
            in_a_thread(desk, lambda: 1)
    assert in_a_thread(desk, lambda: 1) == 1
