"""Mail for later: accepted, moved, canceled, and checked again when its time has come."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test import Client

from accounts.models import Account
from apikeys import actions as keys
from apikeys import leaks
from apikeys.leaks import Sighting
from apikeys.models import ApiKey
from apikeys.tokens import Environment
from auditlog.models import Entry
from domains.models import Domain
from queensmtp.tenancy import tenant
from sending import scheduling, waiting
from sending.models import DeliveryEvent, Message, Recipient
from tests.factories.cast import ORIGIN, Cast, make_cast, make_domain
from tests.factories.emails import make_email
from tests.factories.keys import bearer, make_key
from tests.factories.webhooks import make_endpoint
from tests.roles import as_role
from webhooks.models import Delivery

IN_AN_HOUR = "in 1 hour"


@pytest.fixture
def token(cast: Cast) -> str:
    make_domain(cast.hive, "hive.example")
    return make_key(cast.hive)[1]


def call(client: Client, token: str, method: str, path: str, body: Any = None) -> Any:
    return client.generic(
        method,
        f"/v1/emails{path}",
        orjson.dumps(body) if body is not None else b"",
        content_type="application/json",
        headers=bearer(token),
    )


def schedule(client: Client, token: str, **fields: Any) -> str:
    body = {
        "from": "Hive <hello@hive.example>",
        "to": ["ann@wasp.example", "bea@wasp.example"],
        "subject": "Later",
        "text": "Hi",
        "scheduled_at": IN_AN_HOUR,
        **fields,
    }
    response = call(client, token, "POST", "", body)
    assert response.status_code == 202, response.content
    return str(response.json()["id"])


def shown(client: Client, token: str, email_id: str) -> Any:
    return call(client, token, "GET", f"/{email_id}").json()


def release(after: timedelta = timedelta(hours=2)) -> int:
    with as_role("worker"):
        return scheduling.release_due(now=datetime.now(UTC) + after)


def states(cast: Cast) -> list[str]:
    with tenant(cast.hive.pk):
        return sorted(Recipient.objects.values_list("state", flat=True))


def events(cast: Cast, name: str) -> list[Entry]:
    with tenant(cast.hive.pk):
        return list(Entry.objects.filter(event=name))


# --- Accepting -----------------------------------------------------------------------------------


def test_scheduled_mail_waits_for_its_time(client: Client, cast: Cast, token: str) -> None:
    email_id = schedule(client, token)

    found = shown(client, token, email_id)
    assert found["last_event"] == "scheduled"
    at = datetime.fromisoformat(found["scheduled_at"])
    assert timedelta(minutes=59) < at - datetime.now(UTC) < timedelta(minutes=61)
    assert release(timedelta(minutes=58)) == 0
    assert states(cast) == ["scheduled", "scheduled"]

    assert release() == 1
    assert states(cast) == ["queued", "queued"]
    assert release() == 0


def test_it_is_told_by_webhook_and_in_the_audit_log(client: Client, cast: Cast, token: str) -> None:
    make_endpoint(cast.hive, "https://hooks.wasp.example/", events=["email.scheduled"])
    schedule(client, token, headers={"X-Order": "17"})

    with tenant(cast.hive.pk):
        told = [orjson.loads(bytes(one.body)) for one in Delivery.objects.all()]
        assert {one["type"] for one in told} == {"email.scheduled"}
        assert sorted(one["data"]["to"] for one in told) == [
            ["ann@wasp.example"],
            ["bea@wasp.example"],
        ]
        assert told[0]["data"]["headers"] == [{"name": "X-Order", "value": "17"}]
        assert "scheduled_at" in Entry.objects.get(event="email.submitted").changes


@pytest.mark.parametrize("text", ["yesterday", "in 40 days", "2020-01-01T00:00:00Z", 17, True])
def test_a_time_that_is_none_is_refused(client: Client, cast: Cast, token: str, text: Any) -> None:
    body = {"from": "a@hive.example", "to": "b@wasp.example", "subject": "", "text": ""}
    response = call(client, token, "POST", "", body | {"scheduled_at": text})

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "scheduled_at"
    assert states(cast) == []


def test_a_batch_may_hold_scheduled_mail(client: Client, cast: Cast, token: str) -> None:
    body = {"from": "a@hive.example", "to": "b@wasp.example", "subject": "", "text": ""}
    response = call(client, token, "POST", "/batch", [body, body | {"scheduled_at": IN_AN_HOUR}])

    assert response.status_code == 202
    assert states(cast) == ["queued", "scheduled"]
    with tenant(cast.hive.pk):
        assert DeliveryEvent.objects.get().type == "email.scheduled"


# --- Another time --------------------------------------------------------------------------------


def test_gives_it_another_time(client: Client, cast: Cast, token: str) -> None:
    email_id = schedule(client, token)
    body = {"id": email_id, "scheduled_at": "in 3 hours"}

    response = call(client, token, "PATCH", f"/{email_id}", body)

    assert (response.status_code, response.json()) == (200, {"object": "email", "id": email_id})
    assert release(timedelta(hours=2)) == 0
    assert release(timedelta(hours=4)) == 1
    (entry,) = events(cast, "email.rescheduled")
    assert set(entry.changes["scheduled_at"]) == {"before", "after"}


@pytest.mark.parametrize("body", [{}, {"scheduled_at": None}, {"scheduled_at": "soon"}, []])
def test_another_time_must_be_one(client: Client, cast: Cast, token: str, body: Any) -> None:
    email_id = schedule(client, token)
    response = call(client, token, "PATCH", f"/{email_id}", body)

    assert response.status_code == 422
    assert "`scheduled_at`" in response.json()["message"]


def test_what_is_queued_gets_no_other_time(client: Client, cast: Cast, token: str) -> None:
    email_id = make_email(cast.hive)
    response = call(client, token, "PATCH", f"/{email_id}", {"scheduled_at": IN_AN_HOUR})

    assert (response.status_code, response.json()["name"]) == (409, "validation_error")
    assert states(cast) == ["queued"]


# --- Cancelling ----------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [None, {}])
def test_cancels_what_is_scheduled(client: Client, cast: Cast, token: str, body: Any) -> None:
    email_id = schedule(client, token)

    response = call(client, token, "POST", f"/{email_id}/cancel", body)

    assert (response.status_code, response.json()) == (200, {"object": "email", "id": email_id})
    assert shown(client, token, email_id)["last_event"] == "canceled"
    assert release() == 0
    (entry,) = events(cast, "email.canceled")
    assert (entry.target_id, entry.changes) == (email_id, {"recipients": 2})


def test_cancels_what_is_queued(client: Client, cast: Cast, token: str) -> None:
    email_id = make_email(cast.hive)
    assert call(client, token, "POST", f"/{email_id}/cancel").status_code == 200
    assert states(cast) == ["canceled"]


def test_cancels_nothing_twice_and_nothing_that_left(
    client: Client, cast: Cast, token: str
) -> None:
    email_id = schedule(client, token)
    call(client, token, "POST", f"/{email_id}/cancel")
    again = call(client, token, "POST", f"/{email_id}/cancel")

    assert (again.status_code, again.json()["name"]) == (409, "validation_error")
    assert [entry.outcome for entry in events(cast, "email.canceled")] == ["allowed", "refused"]


@pytest.mark.parametrize(("method", "tail"), [("PATCH", ""), ("POST", "/cancel")])
def test_other_keys_change_nothing(
    client: Client, cast: Cast, token: str, method: str, tail: str
) -> None:
    email_id = schedule(client, token)
    make_domain(cast.hive, "other.example")
    weak = make_key(cast.hive, scopes=("email:read",))[1]
    narrow = make_key(cast.hive, domains=("other.example",))[1]
    playing = make_key(cast.hive, environment=Environment.DEVELOPMENT)[1]
    theirs = make_key(cast.wasp)[1]

    answers = [
        call(client, one, method, f"/{email_id}{tail}", {"scheduled_at": "in 2 hours"})
        for one in (weak, narrow, playing, theirs)
    ]

    assert [(one.status_code, one.json()["name"]) for one in answers] == [
        (403, "insufficient_scope"),
        (403, "domain_not_allowed"),
        (403, "validation_error"),
        (404, "not_found"),
    ]
    assert states(cast) == ["scheduled", "scheduled"]


# --- When its time has come (threats S27) --------------------------------------------------------


def lose_domain(cast: Cast, key: ApiKey) -> None:
    make_domain(cast.hive, "other.example")
    keys.update(by=cast.alice.actor, key=key, changes={"domains": ["other.example"]})


def lose_scope(cast: Cast, key: ApiKey) -> None:
    keys.update(by=cast.alice.actor, key=key, changes={"scopes": ["email:read"]})


def lose_recipient(cast: Cast, key: ApiKey) -> None:
    keys.update(by=cast.alice.actor, key=key, changes={"allowed_recipients": ["ann@wasp.example"]})


def unverify(cast: Cast, key: ApiKey) -> None:
    Domain.objects.filter(name="hive.example").update(status="failed", can_send=False)


def close(cast: Cast, key: ApiKey) -> None:
    Account.objects.filter(pk=cast.hive.pk).update(status="closed")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lose_domain, "domain_not_allowed"),
        (lose_scope, "insufficient_scope"),
        (lose_recipient, "recipient_not_allowed"),
        (unverify, "domain_not_verified"),
        (close, "account_closed"),
    ],
)
def test_what_may_not_be_sent_any_more_is_not_sent(
    client: Client, cast: Cast, change: Any, reason: str
) -> None:
    make_domain(cast.hive, "hive.example")
    key, token = make_key(cast.hive)
    email_id = schedule(client, token)
    with tenant(cast.hive.pk):
        change(cast, key)

    release()

    assert states(cast) == ["failed", "failed"]
    (entry,) = events(cast, "email.schedule_refused")
    assert (entry.outcome, entry.target_id) == ("refused", email_id)
    assert entry.changes["reason"] == reason
    with tenant(cast.hive.pk):
        assert {one.type for one in DeliveryEvent.objects.all()} == {
            "email.scheduled",
            "email.failed",
        }


def test_an_ordinary_end_of_the_key_stops_nothing(client: Client, cast: Cast) -> None:
    make_domain(cast.hive, "hive.example")
    key, token = make_key(cast.hive)
    schedule(client, token)
    with tenant(cast.hive.pk):
        keys.revoke(by=cast.alice.actor, key=key)

    release()

    assert states(cast) == ["queued", "queued"]


def test_a_key_may_be_revoked_with_what_it_scheduled(
    client: Client, cast: Cast, token: str
) -> None:
    key, ending = make_key(cast.hive)
    held = schedule(client, ending)
    schedule(client, token, to="friend@wasp.example")
    with tenant(cast.hive.pk):
        keys.revoke(by=cast.alice.actor, key=key, cancel_scheduled=True)

    with as_role("worker"):
        counts = [scheduling.cancel_of_ended_keys(now=datetime.now(UTC)) for _ in range(2)]

    assert counts == [1, 0]
    assert states(cast) == ["canceled", "canceled", "scheduled"]
    (entry,) = events(cast, "email.canceled")
    assert (entry.target_id, entry.changes) == (held, {"reason": "key_stopped"})
    with tenant(cast.hive.pk):
        told = DeliveryEvent.objects.filter(type="email.canceled").first()
        assert told is not None and "was revoked, with all that it had" in told.data["reply"]


def test_what_a_stopped_key_scheduled_goes_some_at_a_time(
    client: Client, cast: Cast, token: str
) -> None:
    key, ending = make_key(cast.hive)
    for _ in range(3):
        schedule(client, ending, to="ann@wasp.example")
    with tenant(cast.hive.pk):
        keys.revoke(by=cast.alice.actor, key=key, cancel_scheduled=True)

    with as_role("worker"):
        assert scheduling._cancel_some(datetime.now(UTC), 2) == 2
        assert scheduling.cancel_of_ended_keys(now=datetime.now(UTC), limit=2) == 1

    assert states(cast) == ["canceled"] * 3


def test_what_the_worker_missed_is_canceled_at_the_time_of_sending(
    client: Client, cast: Cast
) -> None:
    make_domain(cast.hive, "hive.example")
    key, token = make_key(cast.hive)
    schedule(client, token)
    with tenant(cast.hive.pk):
        keys.revoke(by=cast.alice.actor, key=key, cancel_scheduled=True)
    with as_role("worker"):
        late = datetime.now(UTC) + timedelta(hours=2)
        assert scheduling.cancel_of_ended_keys(now=late) == 0

    release()

    assert states(cast) == ["canceled", "canceled"]


def test_a_leak_cancels_what_the_key_scheduled(client: Client, cast: Cast, token: str) -> None:
    leaked = make_key(cast.hive)[1]
    held = schedule(client, leaked)
    schedule(client, token, to="friend@wasp.example")
    leaks.report([Sighting(leaked)], origin=ORIGIN)

    with as_role("worker"):
        counts = [scheduling.cancel_of_ended_keys(now=datetime.now(UTC)) for _ in range(2)]

    assert counts == [1, 0]
    assert states(cast) == ["canceled", "canceled", "scheduled"]
    (entry,) = events(cast, "email.canceled")
    assert (entry.target_id, entry.changes) == (held, {"reason": "key_leaked"})


def test_a_leak_is_seen_at_the_time_of_sending_too(client: Client, cast: Cast) -> None:
    make_domain(cast.hive, "hive.example")
    leaked = make_key(cast.hive)[1]
    schedule(client, leaked)
    leaks.report([Sighting(leaked)], origin=ORIGIN)

    release()

    assert states(cast) == ["canceled", "canceled"]


def test_the_other_tenants_mail_is_let_go_too(client: Client, cast: Cast, token: str) -> None:
    make_domain(cast.wasp, "wasp.example")
    theirs = make_key(cast.wasp)[1]
    schedule(client, token)
    schedule(client, theirs, **{"from": "a@wasp.example"})

    assert release() == 2
    with tenant(cast.wasp.pk):
        assert set(Message.objects.values_list("recipients__state", flat=True)) == {"queued"}


@pytest.mark.django_db(transaction=True)
def test_two_workers_release_once_and_a_cancellation_meets_one_of_them() -> None:
    cast = make_cast()
    make_domain(cast.hive, "hive.example")
    make_email(cast.hive, scheduled_at=IN_AN_HOUR)
    counts: list[int] = []
    at_once = threading.Barrier(2)

    def work() -> None:
        try:
            at_once.wait()
            counts.append(release())
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert states(cast) == ["queued"]
    assert sorted(counts) == [0, 1]
    with tenant(cast.hive.pk):
        message = Message.objects.get()
        scheduling.cancel(by=cast.alice.actor, message=message)
    assert release() == 0
    assert states(cast) == ["canceled"]


@pytest.mark.django_db(transaction=True)
def test_two_workers_cancel_with_a_key_and_one_of_them_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cast = make_cast()
    make_domain(cast.hive, "hive.example")
    key, _ = make_key(cast.hive)
    make_email(cast.hive, key=key, scheduled_at=IN_AN_HOUR)
    with tenant(cast.hive.pk):
        keys.revoke(by=cast.alice.actor, key=key, cancel_scheduled=True)
    have_looked, move = threading.Barrier(2, timeout=10), waiting.move

    def move_together(*args: Any, **kwargs: Any) -> Any:
        have_looked.wait()
        return move(*args, **kwargs)

    def cancel() -> int:
        try:
            with as_role("worker"):
                return scheduling.cancel_of_ended_keys(now=datetime.now(UTC))
        finally:
            connection.close()

    monkeypatch.setattr(waiting, "move", move_together)
    with ThreadPoolExecutor(2) as pool:
        counts = [future.result() for future in [pool.submit(cancel) for _ in range(2)]]

    assert sorted(counts) == [0, 1]
    assert len(events(cast, "email.canceled")) == 1
