"""Bounces that are no reports, by SMTP to the bounce listener: what they change."""

import smtplib
from pathlib import Path

import pytest

from sending import return_port
from tests.factories.cast import Cast
from tests.roles import as_role
from tests.sending.returns import again, delivered, events, path_of, suppressions, told

SAMPLES = Path(__file__).parent / "plain_bounces"
pytestmark = pytest.mark.django_db(transaction=True)


def send(port: int, address: str, name: str, *, sender: str = "") -> None:
    content = (SAMPLES / f"{name}.txt").read_bytes().replace(b"\n", b"\r\n")
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail(sender, [address], content)


@pytest.mark.parametrize("name", ["qmail", "exim", "exchange_5", "exim_auto_replied"])
def test_a_permanent_failure_is_a_bounce(cast: Cast, listener: int, name: str) -> None:
    recipient = delivered(cast)
    for _ in range(2):
        send(listener, path_of(recipient), name)
    assert again(recipient, cast).state == "bounced"
    assert [one.type for one in events(cast)] == ["email.bounced"]
    assert suppressions(cast) == [("ann@wasp.example", "bounce")]
    assert [one["type"] for one in told(cast)] == ["email.bounced", "suppression.added"]


def test_a_temporary_one_is_a_delay(cast: Cast, listener: int) -> None:
    recipient = delivered(cast, state="sent")
    for _ in range(2):
        send(listener, path_of(recipient), "exim_warning")
    assert again(recipient, cast).state == "sent"
    assert [one.type for one in events(cast)] == ["email.delivery_delayed"]
    assert suppressions(cast) == []


def test_an_unclear_one_is_noted_once_and_changes_nothing(cast: Cast, listener: int) -> None:
    recipient = delivered(cast)
    for _ in range(2):
        send(listener, path_of(recipient), "unclear")
    assert again(recipient, cast).state == "delivered"
    ((kind, words),) = [(one.type, one.data["reply"]) for one in events(cast)]
    assert kind == "email.unclear_report"
    assert words == "Mail delivery failed: returning message to sender"
    assert (suppressions(cast), told(cast)) == ([], [])


@pytest.mark.parametrize("sender", ["", "contact@example.com"])
def test_an_out_of_office_answer_changes_nothing(cast: Cast, listener: int, sender: str) -> None:
    recipient = delivered(cast)
    send(listener, path_of(recipient), "out_of_office", sender=sender)
    assert again(recipient, cast).state == "delivered"
    assert (events(cast), suppressions(cast), told(cast)) == ([], [], [])


def test_without_a_token_of_ours_it_is_not_taken(cast: Cast, listener: int) -> None:
    recipient = delivered(cast)
    wrong = "c" + path_of(recipient)[1:]
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(listener, wrong, "qmail")
    content = (SAMPLES / "qmail.txt").read_bytes()
    with as_role("worker"):
        assert return_port.take([wrong], content) == return_port.NO_REPORT
    assert suppressions(cast) == []
