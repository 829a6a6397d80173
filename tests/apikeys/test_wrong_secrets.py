"""Guesses at a key: one entry per key, address and minute, with a count."""

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils import timezone

from apikeys import gate, tasks, tokens
from apikeys.models import ApiKey, WrongSecret
from apikeys.tokens import ID_LENGTH, Environment
from auditlog.models import Entry
from queensmtp import valkey
from queensmtp.actors import Origin
from queensmtp.tenancy import PLATFORM_ACCOUNT_ID, tenant
from sending import submission_port
from sending.mailrooms import Client as SmtpClient
from tests.factories.cast import Cast, make_cast
from tests.factories.keys import bearer, make_key
from tests.roles import as_role


@pytest.fixture(autouse=True)
def _no_new_minute() -> None:
    """What is counted together must not begin in one minute and end in the next."""
    left = 60 - timezone.now().second
    if left <= 5:
        time.sleep(left)


def guess_at(key: ApiKey) -> str:
    """A well-formed token with the key's id and another secret."""
    body = tokens.mint(Environment(key.environment)).text[: -tokens.CHECKSUM_LENGTH]
    start = body.rindex("_") + 1
    body = body[:start] + key.public_id + body[start + ID_LENGTH :]
    return body + tokens.checksum(body)


def present(text: str, address: str | None = "203.0.113.7", user_agent: str = "curl") -> Any:
    origin = Origin(ip=address, user_agent=user_agent, request_id="request-9")
    presented = gate.present(text, origin=origin)
    assert presented.refusal is not None and presented.refusal.error.status == 401
    return presented


def a_minute_passes(*account_ids: Any) -> None:
    for account_id in account_ids:
        with tenant(account_id):
            WrongSecret.objects.update(minute=F("minute") - timedelta(minutes=2))


def record_passed() -> int:
    with as_role("worker"):
        return tasks.record_wrong_secrets()


def entries_of(cast: Cast) -> list[Entry]:
    with tenant(cast.hive.pk):
        found = Entry.objects.filter(event="api_key.wrong_secret_presented")
        return list(found.order_by("id"))


def test_many_guesses_leave_one_entry_with_their_count(cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    for _ in range(5):
        present(guess_at(key))
    a_minute_passes(cast.hive.pk)

    assert record_passed() == 1
    (entry,) = entries_of(cast)
    assert (entry.count, entry.outcome, entry.key_id) == (5, "refused", key.pk)
    assert (entry.ip, entry.user_agent, entry.request_id) == ("203.0.113.7", "curl", "request-9")
    assert (entry.actor_type, entry.target_id) == ("system", str(key.pk))
    assert entry.changes["reason"] == "wrong_secret"


def test_each_key_and_each_address_is_counted_by_itself(cast: Cast) -> None:
    (one, _), (other, _) = make_key(cast.hive), make_key(cast.hive)
    for key, address in ((one, "203.0.113.7"), (one, "203.0.113.8"), (other, "203.0.113.7")):
        present(guess_at(key), address)
    a_minute_passes(cast.hive.pk)
    record_passed()

    counted = {(entry.key_id, entry.ip): entry.count for entry in entries_of(cast)}
    assert counted == {
        (one.pk, "203.0.113.7"): 1,
        (one.pk, "203.0.113.8"): 1,
        (other.pk, "203.0.113.7"): 1,
    }


def test_a_whole_64_of_ipv6_is_one_address_and_so_is_a_mapped_one(cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    for address in ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"):
        present(guess_at(key), address)
    for mapped in ("203.0.113.7", "::ffff:203.0.113.7", None):
        present(guess_at(key), mapped)
    a_minute_passes(cast.hive.pk)
    record_passed()

    assert sorted(entry.count for entry in entries_of(cast)) == [1, 1, 2, 2]


def test_nothing_is_recorded_before_the_minute_has_passed(cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    present(guess_at(key))

    assert record_passed() == 0
    assert entries_of(cast) == []


def test_recording_twice_changes_nothing_more(cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    present(guess_at(key))
    a_minute_passes(cast.hive.pk)

    assert [record_passed(), record_passed()] == [1, 0]
    assert len(entries_of(cast)) == 1


def test_an_entry_that_cannot_be_written_keeps_its_count(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _ = make_key(cast.hive)
    present(guess_at(key))
    a_minute_passes(cast.hive.pk)
    with monkeypatch.context() as broken, pytest.raises(RuntimeError):
        broken.setattr("queensmtp.hot.fetch_one", _fail)
        record_passed()

    assert record_passed() == 1


def _fail(*args: Any) -> None:
    raise RuntimeError("the log cannot be written")


def test_http_and_smtp_count_into_one_entry(client: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    guess = guess_at(key)
    body = {"from": "a@hive.example", "to": "b@wasp.example", "subject": "x", "text": "x"}
    answers = [
        client.get("/v1/keys", headers=bearer(guess)),
        client.post("/v1/emails", body, content_type="application/json", headers=bearer(guess)),
    ]
    reply = submission_port.log_in("queensmtp", guess, SmtpClient("127.0.0.1", helo="there"))
    a_minute_passes(cast.hive.pk)
    record_passed()

    assert [one.status_code for one in answers] == [401, 401]
    assert str(reply).startswith("535 ")
    (entry,) = entries_of(cast)
    assert (entry.count, entry.user_agent) == (3, "SMTP there")


def test_counts_the_same_without_valkey(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(valkey._Breaker, "closed_until", float("inf"))
    key, _ = make_key(cast.hive)
    for _ in range(3):
        present(guess_at(key))
    a_minute_passes(cast.hive.pk)
    record_passed()

    assert [entry.count for entry in entries_of(cast)] == [3]


def test_what_names_no_key_leaves_no_entry_but_a_line(
    cast: Cast, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    unknown = tokens.mint(Environment.PRODUCTION).text
    present(unknown)
    present(unknown)
    present(unknown[:-1] + ("0" if unknown[-1] != "0" else "1"))
    client.get("/v1/keys")
    a_minute_passes(cast.hive.pk, PLATFORM_ACCOUNT_ID)
    with caplog.at_level(logging.INFO), tenant(PLATFORM_ACCOUNT_ID):
        before = Entry.objects.count()
        assert record_passed() == 0
        assert Entry.objects.count() == before

    assert entries_of(cast) == []
    (line,) = [one for one in caplog.records if one.getMessage() == "unknown_keys_presented"]
    assert line.__dict__["count"] == 2


def test_holds_nothing_of_the_secret(cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    guess = guess_at(key)
    present(guess)
    with tenant(cast.hive.pk), connection.cursor() as cursor:
        cursor.execute("SELECT w::text FROM apikeys_wrongsecret w")
        rows = str(cursor.fetchall())
    a_minute_passes(cast.hive.pk)
    record_passed()
    with tenant(cast.hive.pk), connection.cursor() as cursor:
        cursor.execute("SELECT e::text FROM auditlog_entry e")
        rows += str(cursor.fetchall())

    secret = guess[guess.rindex("_") + 1 + ID_LENGTH :]
    assert str(key.pk) in rows
    assert secret not in rows and secret[:12] not in rows and secret[-6:] not in rows


def test_a_guess_leaves_no_tenant_behind(cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    present(guess_at(key))

    assert ApiKey.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_many_at_once_are_all_counted() -> None:
    cast = make_cast()
    key, _ = make_key(cast.hive)

    def guess(_: int) -> None:
        try:
            present(guess_at(key))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(guess, range(40)))
    a_minute_passes(cast.hive.pk)
    record_passed()

    assert [entry.count for entry in entries_of(cast)] == [40]
