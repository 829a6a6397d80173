"""Mail to postmaster and abuse: taken at any host, and handed to the operator."""

import email
import os
import smtplib
import subprocess
import sys
from typing import Any

import pytest

from queensmtp import measures
from queensmtp.ids import new_id
from queensmtp.ratelimit import Limit
from sending import operator_mail
from tests.smtp_sink import Script, SmtpSink

CONTENT = b"From: ann@wasp.example\r\nSubject: Spam from you\r\n\r\nPlease stop.\r\n"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _by_smtp(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """By real SMTP, with a limit and a count of each test's own."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    monkeypatch.setattr(operator_mail, "BUCKET", f"operator-mail-{new_id()}")
    monkeypatch.setattr(operator_mail, "METRIC", f"operator_mails_{new_id()}")


def send(port: int, address: str) -> None:
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("ann@wasp.example", [address], CONTENT)


def counted() -> dict[str, float]:
    return {
        label: value
        for (name, label), value in measures.read().items()
        if name == operator_mail.METRIC
    }


@pytest.mark.parametrize(
    "address", ["postmaster@bounces.localhost", "Abuse@send.hive.example", "POSTMASTER"]
)
def test_the_operator_gets_it_whole_and_as_a_file(
    settings: Any, listener: int, address: str
) -> None:
    with SmtpSink() as sink:
        settings.OPERATOR_ADDRESS = "ops@operator.example"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", sink.port
        send(listener, address)
        (got,) = sink.messages
    assert got.recipients == ("ops@operator.example",)
    message = email.message_from_bytes(got.content)
    assert address in message["Subject"]
    assert message["Auto-Submitted"] == "auto-generated"
    file = list(message.walk())[-1]
    assert (file.get_content_type(), file.get_filename()) == (
        "application/octet-stream",
        "message.eml",
    )
    assert file.get_payload(decode=True) == CONTENT
    assert counted() == {"forwarded": 1}


def test_without_an_operator_it_is_taken_and_counted(settings: Any, listener: int) -> None:
    settings.OPERATOR_ADDRESS = ""
    send(listener, "postmaster@bounces.localhost")
    assert counted() == {"dropped": 1}


def test_what_cannot_be_handed_on_is_asked_for_again(settings: Any, listener: int) -> None:
    settings.OPERATOR_ADDRESS = "ops@operator.example"
    with SmtpSink(Script(mail="451 4.3.0 later")) as sink:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", sink.port
        with pytest.raises(smtplib.SMTPDataError) as refused:
            send(listener, "abuse@bounces.localhost")
    assert refused.value.smtp_code == 451
    assert counted() == {}


def test_a_flood_does_not_reach_the_operator(
    settings: Any, listener: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OPERATOR_ADDRESS = "ops@operator.example"
    monkeypatch.setattr(operator_mail, "LIMIT", Limit(1, 3_600, 2))
    with SmtpSink() as sink:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", sink.port
        for _ in range(2):
            send(listener, "abuse@bounces.localhost")
        with pytest.raises(smtplib.SMTPDataError) as refused:
            send(listener, "abuse@bounces.localhost")
        assert len(sink.messages) == 2
    assert refused.value.smtp_code == 451


def test_the_operator_is_not_written_to_through_the_listener_itself() -> None:
    """It would hand each mail on to itself for ever."""
    environment = {**os.environ, "OPERATOR_ADDRESS": "ops@Bounces.localhost"}
    started = subprocess.run(
        [sys.executable, "-c", "import queensmtp.settings"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert started.returncode == 1
    assert "set it to a mailbox elsewhere" in started.stderr
