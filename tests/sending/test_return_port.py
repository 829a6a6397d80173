"""Reports that come back: what they change, and what they must not."""

import smtplib

import pytest
from django.conf import settings
from django.utils import timezone

from auditlog.models import Entry
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from sending import queue, return_paths, return_port
from sending.models import Recipient
from tests.factories.cast import Cast
from tests.factories.reports import abuse_report, delivery_report, out_of_office
from tests.roles import as_role
from tests.sending.returns import again, delivered, events, path_of, report, suppressions, told


def test_a_hard_bounce_is_recorded_told_and_suppressed(cast: Cast) -> None:
    recipient = delivered(cast)
    assert report(recipient, delivery_report()) == return_port.TAKEN
    now = again(recipient, cast)
    assert (now.state, now.smtp_code, now.enhanced_code) == ("bounced", 550, "5.1.1")
    (event,) = events(cast)
    assert (event.type, event.data["mx_host"]) == ("email.bounced", "store.wasp.example")
    assert "User unknown" in event.data["reply"]
    assert suppressions(cast) == [("ann@wasp.example", "bounce")]
    bounced, added = told(cast)
    assert bounced["type"] == "email.bounced"
    assert bounced["data"]["to"] == ["ann@wasp.example"]
    assert bounced["data"]["headers"] == [{"name": "X-Order", "value": "7"}]
    assert (bounced["data"]["bounce"]["type"], bounced["data"]["bounce"]["subType"]) == (
        "Permanent",
        "General",
    )
    assert "bounce message" in bounced["data"]["bounce"]["message"]
    assert (added["type"], added["data"]["source_id"]) == (
        "suppression.added",
        str(recipient.message_id),
    )
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="suppression.added")
    assert (entry.actor_type, entry.actor_label) == ("system", "bounces")


@pytest.mark.parametrize("content", [delivery_report(), abuse_report()], ids=["bounce", "abuse"])
def test_the_same_report_twice_changes_nothing_more(cast: Cast, content: bytes) -> None:
    recipient = delivered(cast)
    report(recipient, content)
    before = (events(cast), suppressions(cast), told(cast), again(recipient, cast).finished_at)
    assert report(recipient, content) == return_port.NOTHING_NEW
    after = (events(cast), suppressions(cast), told(cast), again(recipient, cast).finished_at)
    assert before == after


@pytest.mark.parametrize(
    "content",
    [
        delivery_report(status="4.4.7", diagnostic="smtp; 421 4.4.7 expired"),
        delivery_report(status="5.2.2", diagnostic="smtp; 552 5.2.2 mailbox full"),
        delivery_report(status="5.7.1", diagnostic="smtp; 554 5.7.1 spam"),
    ],
    ids=["expired", "full", "spam"],
)
def test_a_soft_bounce_suppresses_nobody(cast: Cast, content: bytes) -> None:
    recipient = delivered(cast)
    report(recipient, content)
    assert again(recipient, cast).state == "bounced"
    assert told(cast)[0]["data"]["bounce"]["type"] == "Transient"
    assert suppressions(cast) == []


def test_a_delay_is_an_event_and_no_end(cast: Cast) -> None:
    recipient = delivered(cast, state="sent")
    delay = delivery_report(action="delayed", status="4.4.1")
    assert [report(recipient, delay) for _ in range(2)] == [
        return_port.TAKEN,
        return_port.NOTHING_NEW,
    ]
    assert again(recipient, cast).state == "sent"
    assert [one.type for one in events(cast)] == ["email.delivery_delayed"]


def test_a_complaint_stops_further_mail(cast: Cast) -> None:
    recipient = delivered(cast)
    report(recipient, abuse_report())
    now = again(recipient, cast)
    assert (now.state, now.outcome) == ("delivered", "complained")
    assert [one.type for one in events(cast)] == ["email.complained"]
    assert [one["type"] for one in told(cast)] == ["email.complained", "suppression.added"]
    assert suppressions(cast) == [("ann@wasp.example", "complaint")]


def test_a_bounce_takes_the_recipient_from_a_worker_that_has_it(cast: Cast) -> None:
    recipient = delivered(cast, state="queued")
    with as_role("worker"):
        (claimed,) = queue.claim(limit=1, lease_seconds=60, now=timezone.now(), crowded=[])
    report(recipient, delivery_report())
    outcome = queue.Report(claimed, "delivered", None, timezone.now(), 250, "", "")
    with as_role("worker"):
        assert queue.report([outcome]) == set()
    assert again(recipient, cast).state == "bounced"


def test_a_report_for_what_was_never_sent_changes_nothing(cast: Cast) -> None:
    recipient = delivered(cast, state="queued")
    assert report(recipient, delivery_report()) == return_port.NOTHING_NEW
    assert again(recipient, cast).state == "queued"
    assert (events(cast), suppressions(cast)) == ([], [])


def test_an_automatic_answer_is_taken_and_forgotten(cast: Cast) -> None:
    recipient = delivered(cast)
    assert report(recipient, out_of_office()) == return_port.NO_REPORT
    assert (events(cast), suppressions(cast)) == ([], [])


def test_a_message_whose_partition_is_gone_is_nobodys(cast: Cast) -> None:
    gone = Recipient(id=new_id())
    assert report(gone, delivery_report()) == return_port.NOTHING_NEW


def test_a_refusal_in_the_dialogue_is_judged_alike(cast: Cast) -> None:
    recipient = delivered(cast)
    refused = delivery_report(diagnostic="smtp; 550 no such user", status="")
    report(recipient, refused)
    assert suppressions(cast) == [("ann@wasp.example", "bounce")]


@pytest.mark.django_db(transaction=True)
def test_the_listener_takes_a_report_over_a_socket(cast: Cast, listener: int) -> None:
    recipient = delivered(cast)
    with smtplib.SMTP("127.0.0.1", listener) as client:
        client.sendmail("", [path_of(recipient).upper()], delivery_report())
    assert again(recipient, cast).state == "bounced"
    assert suppressions(cast) == [("ann@wasp.example", "bounce")]


@pytest.mark.django_db(transaction=True)
def test_the_listener_takes_nothing_for_a_forged_return_path(cast: Cast, listener: int) -> None:
    recipient = delivered(cast)
    forged = return_paths.address_for(
        recipient.pk, keys=[(1, "AAAA")], host=settings.RETURN_PATH_HOST
    )
    with smtplib.SMTP("127.0.0.1", listener) as client:
        client.helo()
        client.mail("")
        for address in (forged, "ann@bounces.localhost", f"x{path_of(recipient)}"):
            assert client.rcpt(address)[0] == 550
        assert client.rcpt(path_of(recipient))[0] == 250
        assert client.rcpt(path_of(recipient))[0] == 452
        client.rset()
    assert again(recipient, cast).state == "delivered"
    assert (events(cast), suppressions(cast)) == ([], [])
