"""Complaints at the one address that providers know: who is believed, and about whom."""

import base64
import re
import smtplib

import pytest
from django.conf import settings
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from queensmtp import measures
from queensmtp.tenancy import tenant
from sending import actions, complaints, feedback_ids, reports, return_paths, return_port
from sending.models import Recipient
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.factories.reports import abuse_report, attached, delivery_report
from tests.roles import as_role
from tests.sending.returns import again, delivered, events, path_of, suppressions, told
from tests.smtp_sink import SmtpSink

PROVIDER = "feedback@mailbox.example"
STRANGER = [(1, "AAAA")]


def send(port: int, content: bytes, *, sender: str = PROVIDER) -> None:
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail(sender, [settings.FEEDBACK_ADDRESS], content)


def report(content: bytes, *, sender: str = PROVIDER) -> str:
    with as_role("worker"):
        return return_port.take([settings.FEEDBACK_ADDRESS], content, sender=sender)


def token_line(recipient: Recipient) -> str:
    return feedback_ids.header_for(recipient.pk, keys=settings.LINK_KEYS).decode().strip()


def copy_for(recipient: Recipient) -> str:
    return f"{token_line(recipient)}\nFrom: Hive <hello@hive.example>\nSubject: Hello\n\nHi\n"


@pytest.mark.django_db(transaction=True)
def test_what_was_delivered_is_told_by_what_comes_back(
    cast: Cast, sink: SmtpSink, listener: int
) -> None:
    """From the accepted message to the suppression; every address was taken out (RFC 6590)."""
    make_domain(cast.hive, "hive.example")
    make_email(cast.hive, to=["ann@wasp.example", "bea@wasp.example"])
    with as_role("worker"):
        actions.deliver_due()
    (for_bea,) = [one for one in sink.messages if one.recipients == ("bea@wasp.example",)]
    redacted = re.sub(r"[^\s<>]+@", "redacted@", for_bea.content.decode())
    send(listener, abuse_report(returned=redacted))
    send(listener, abuse_report(returned=redacted))
    assert suppressions(cast) == [("bea@wasp.example", "complaint")]
    assert [one.type for one in events(cast)].count("email.complained") == 1


def test_each_recipient_has_a_token_of_his_own_and_dkim_does_not_mind(
    cast: Cast, sink: SmtpSink
) -> None:
    make_domain(cast.hive, "hive.example")
    make_email(cast.hive, to=["ann@wasp.example", "bea@wasp.example"])
    with as_role("worker"):
        actions.deliver_due()
    first, second = (one.content.split(b"\r\n", 1) for one in sink.messages)
    assert first[0] != second[0]
    assert first[1] == second[1]
    assert first[1].startswith(b"DKIM-Signature:")


@pytest.mark.django_db(transaction=True)
def test_the_listener_takes_a_complaint_like_one_at_a_return_path(
    cast: Cast, listener: int
) -> None:
    recipient = delivered(cast)
    send(listener, abuse_report("fraud", returned=copy_for(recipient)))
    assert again(recipient, cast).outcome == "complained"
    assert suppressions(cast) == [("ann@wasp.example", "complaint")]
    assert [one["type"] for one in told(cast)] == ["email.complained", "suppression.added"]


def test_the_return_path_in_the_copy_tells_it_too(cast: Cast) -> None:
    recipient = delivered(cast)
    copy = f"Return-Path: <{path_of(recipient)}>\nSubject: Hello\n\nHi\n"
    assert report(abuse_report(returned=copy)) == return_port.TAKEN
    assert suppressions(cast) == [("ann@wasp.example", "complaint")]


def test_the_sender_in_the_envelope_tells_it_too(cast: Cast) -> None:
    recipient = delivered(cast)
    assert report(abuse_report(mail_from=path_of(recipient))) == return_port.TAKEN


def test_a_report_with_headers_only_is_read(cast: Cast) -> None:
    recipient = delivered(cast)
    headers = copy_for(recipient).partition("\n\n")[0] + "\n"
    content = abuse_report(returned=headers, kind="text/rfc822-headers")
    assert report(content) == return_port.TAKEN


def test_a_report_that_a_gateway_wrapped_is_read(cast: Cast) -> None:
    recipient = delivered(cast)
    wrapped = b"Content-Type: multipart/mixed; boundary=out\r\n\r\n--out\r\n"
    inner = abuse_report(returned=copy_for(recipient))
    assert report(wrapped + inner + b"\r\n--out--\r\n") == return_port.TAKEN


def test_a_message_in_base64_is_read(cast: Cast) -> None:
    recipient = delivered(cast)
    encoded = base64.encodebytes(copy_for(recipient).encode()).decode()
    kind = "message/rfc822\nContent-Transfer-Encoding: base64"
    assert report(abuse_report(returned=encoded, kind=kind)) == return_port.TAKEN


def test_a_message_as_an_attachment_is_a_complaint(cast: Cast) -> None:
    recipient = delivered(cast)
    content = attached(copy_for(recipient))
    assert report(content, sender="") == return_port.NO_REPORT
    assert report(content) == return_port.TAKEN
    assert suppressions(cast) == [("ann@wasp.example", "complaint")]


def test_nothing_but_a_token_of_ours_is_believed(cast: Cast) -> None:
    """A report names a recipient, a message, even our ids, and none of it counts."""
    recipient = delivered(cast)
    forged_header = feedback_ids.header_for(recipient.pk, keys=STRANGER).decode().strip()
    forged_path = return_paths.address_for(
        recipient.pk, keys=STRANGER, host=settings.RETURN_PATH_HOST
    )
    path_token = path_of(recipient).partition("@")[0].removeprefix("b-")
    with tenant(cast.hive.pk):
        message_id = recipient.message.message_id
    for copy in (
        f"Message-ID: <{message_id}>\nTo: ann@wasp.example\nSubject: Hello\n\nHi\n",
        f"{forged_header}\nReturn-Path: <{forged_path}>\n\nHi\n",
        f"{feedback_ids.HEADER}: {recipient.pk}\n\nHi\n",
        # A token is good for its own purpose only.
        f"{feedback_ids.HEADER}: {path_token}\n\nHi\n",
        f"Subject: Hello\n\n{token_line(recipient)}\n",
    ):
        assert report(abuse_report(returned=copy)) == return_port.NO_REPORT
        assert report(attached(copy)) == return_port.NO_REPORT
    # Outside of the copy it proves nothing: anybody may write there.
    above = f"{token_line(recipient)}\r\n".encode() + abuse_report()
    assert report(above) == return_port.NO_REPORT
    assert (events(cast), suppressions(cast)) == ([], [])


def test_what_comes_is_counted(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(return_port, "METRIC", "returned_mails_of_this_test")
    recipient = delivered(cast)
    report(abuse_report(returned=copy_for(recipient)))
    report(abuse_report())
    with as_role("worker"):
        return_port.take([path_of(recipient)], delivery_report())
        counted = {
            label: value
            for (name, label), value in measures.read().items()
            if name == return_port.METRIC
        }
    assert counted == {"complaint": 1, "nothing": 1, "failed": 1}


@pytest.mark.parametrize("feedback", ["not-spam", "auth-failure"])
def test_what_is_no_complaint_changes_nothing(cast: Cast, feedback: str) -> None:
    recipient = delivered(cast)
    content = abuse_report(feedback, returned=copy_for(recipient))
    assert report(content) == return_port.NO_REPORT
    assert suppressions(cast) == []


def test_a_bounce_has_no_say_here(cast: Cast) -> None:
    """It would need the return path, which says whom it is about."""
    recipient = delivered(cast)
    copy = copy_for(recipient).encode().replace(b"\n", b"\r\n")
    content = delivery_report().replace(b"From: Hive <hello@hive.example>", copy)
    assert report(content) == return_port.NO_REPORT
    assert again(recipient, cast).state == "delivered"


@pytest.mark.django_db(transaction=True)
def test_the_address_is_known_in_any_case_and_alone(cast: Cast, listener: int) -> None:
    recipient = delivered(cast)
    with smtplib.SMTP("127.0.0.1", listener) as client:
        client.helo()
        client.mail(PROVIDER)
        assert client.rcpt(settings.FEEDBACK_ADDRESS.upper())[0] == 250
        assert client.rcpt(path_of(recipient))[0] == 452
        client.rset()
        client.mail(PROVIDER)
        assert client.rcpt("fbl@elsewhere.example")[0] == 550


@given(st.binary(max_size=300), st.integers(0, 1_500), st.booleans())
@hypothesis_settings(max_examples=150, deadline=None)
def test_damage_does_not_make_it_fail(noise: bytes, at: int, is_report: bool) -> None:
    content = abuse_report() if is_report else attached("Subject: Hello\n\nHi\n")
    mail = reports.opened(content[:at] + noise + content[at + len(noise) :])
    if mail is not None:
        assert complaints.read(mail, sender=PROVIDER, keys=settings.LINK_KEYS) is None
