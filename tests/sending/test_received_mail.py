import email
import smtplib
from email import policy
from email.message import EmailMessage
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest

from sending import mime, received_mail
from sending.received_mail import MailRefused, ReceivedMail

TO = ["bob@apiary.example"]


def read(content: bytes, to: list[str] | None = None) -> ReceivedMail:
    return received_mail.read(content, recipients=to or TO)


def headers(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in ("From: a@hive.example", *lines, "", "Hi")).encode()


def written_by_python(message: EmailMessage) -> bytes:
    return message.as_bytes(policy=policy.SMTP)


def full_message() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Alice Ü <alice@hive.example>"
    message["To"] = "Bob <bob@apiary.example>, eve@apiary.example"
    message["Cc"] = "Carol <carol@apiary.example>"
    message["Reply-To"] = "help@hive.example"
    message["Subject"] = "Grüße " * 20
    message["X-Order"] = "17"
    message.set_content("Hällo\n.\n")
    message.add_alternative("<p>Hällo</p>", subtype="html")
    html = message.get_body(("html",))
    assert isinstance(html, EmailMessage)
    html.add_related(b"\x89PNG", "image", "png", cid="<logo@hive>", filename="l.png")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="Öl.pdf")
    return message


def test_what_python_writes_is_read_whole() -> None:
    mail = read(written_by_python(full_message()))
    assert not mail.problems
    assert mail.sender is not None
    assert (mail.sender.name, mail.sender.address) == ("Alice Ü", "alice@hive.example")
    assert [one.address for one in mail.to] == ["bob@apiary.example", "eve@apiary.example"]
    assert [one.address for one in mail.reply_to] == ["help@hive.example"]
    assert mail.subject == ("Grüße " * 20).strip()
    assert (mail.text, mail.html) == ("Hällo\n.\n", "<p>Hällo</p>\n")
    assert mail.headers == (("X-Order", "17"),)
    assert [(one.filename, one.content_id) for one in mail.attachments] == [
        ("l.png", "logo@hive"),
        ("Öl.pdf", ""),
    ]


def test_what_is_read_can_be_built_and_read_again() -> None:
    mail = read(written_by_python(full_message()))
    built = mime.build(mail.content(message_id="1@hive.example", date=mime.EPOCH))
    again = read(built)
    for name in ("sender", "to", "cc", "reply_to", "subject", "text", "html", "attachments"):
        assert getattr(again, name) == getattr(mail, name)


def test_the_envelope_decides_who_gets_it_and_the_headers_what_is_shown() -> None:
    content = headers("To: bob@apiary.example, list@apiary.example", "Cc: carol@apiary.example")
    mail = read(content, ["bob@apiary.example", "carol@apiary.example", "secret@apiary.example"])
    assert mail.recipients == {
        "bob@apiary.example": "to",
        "carol@apiary.example": "cc",
        "secret@apiary.example": "bcc",
    }
    assert [one.address for one in mail.to] == ["bob@apiary.example", "list@apiary.example"]


@pytest.mark.parametrize(
    "line",
    [
        *("Bcc: secret@apiary.example", "Sender: x@evil.example", "Return-Path: <x@evil.example>"),
        *("Received: from evil", "DKIM-Signature: v=1", "Resent-From: x@evil.example"),
        *("Authentication-Results: all=pass", "ARC-Seal: i=1", "X-QueenSMTP-Id: 7"),
        *("Message-ID: <1@hive.example>", "Date: yesterday", "Errors-To: x@evil.example"),
        *("Disposition-Notification-To: x@evil.example", "X-Bad: =?rot13?q?a?="),
    ],
)
def test_headers_that_are_not_the_clients_are_left_out(line: str) -> None:
    mail = read(headers("To: bob@apiary.example", line))
    assert mail.headers == ()
    built = mime.build(mail.content(message_id="1@hive.example", date=mime.EPOCH))
    assert b"evil" not in built
    assert b"secret" not in built


@pytest.mark.parametrize(
    "content",
    [
        headers("From: b@evil.example"),
        headers("Subject: a", "Subject: b"),
        headers("To: a@b.example", "to: c@d.example"),
        headers("Subject : a"),
        headers("To: a@b.example, <"),
        b"To: bob@apiary.example\r\n\r\nno from",
        b"\r\nno headers",
        b"From: a@hive.example, b@evil.example\r\n\r\nx",
        headers('Content-Type: multipart/signed; boundary="x"'),
        headers('Content-Type: text/plain; charset="klingon"'),
        headers('Content-Type: text/plain; charset="utf-8"') + b"\xff",
        headers('Content-Type: multipart/mixed; boundary="x"') + b"boundary=" * 60,
    ],
)
def test_what_cannot_be_sent_on_in_one_way_is_refused(content: bytes) -> None:
    with pytest.raises(MailRefused) as refused:
        read(content)
    assert str(refused.value)


def test_thousands_of_nested_parts_are_counted_not_parsed() -> None:
    content = headers() + b"".join(
        f'Content-Type: multipart/mixed; boundary="{n}"\r\n\r\n--{n}\r\n'.encode()
        for n in range(5_000)
    )
    with pytest.raises(MailRefused, match="nested"):
        read(content)


@pytest.mark.parametrize(
    "subject",
    ["=?utf-8?q?x=0D=0ABcc:_v@evil.example?=", "=?utf-8?b?eA0KQmNjOiB2QGV2aWwuZXhhbXBsZQ==?="],
)
def test_a_line_break_in_an_encoded_subject_is_a_problem(subject: str) -> None:
    mail = read(headers(f"Subject: {subject}"))
    assert [problem.code for problem in mail.problems] == ["control_character"]


def test_a_calendar_keeps_its_method_and_a_message_inside_its_bytes() -> None:
    message = MIMEMultipart()
    message["From"] = "a@hive.example"
    calendar = MIMEText("BEGIN:VCALENDAR", "calendar")
    calendar.set_param("method", "REQUEST")
    message.attach(MIMEText("see"))
    message.attach(calendar)
    inner = EmailMessage()
    inner["Subject"] = "inside"
    inner.set_content("x")
    forwarded = EmailMessage()
    forwarded.set_content(inner)
    message.attach(forwarded)
    mail = read(message.as_bytes(policy=policy.SMTP))
    assert [one.content_type for one in mail.attachments][0].startswith("text/calendar")
    assert 'method="REQUEST"' in mail.attachments[0].content_type
    assert b"Subject: inside" in mail.attachments[1].data


def test_the_idempotency_key_is_read_and_not_sent_on() -> None:
    mail = read(headers("Resend-Idempotency-Key: order-17"))
    assert mail.idempotency_key == "order-17"
    assert mail.headers == ()


def test_smtplib_and_the_reader_agree_about_line_ends() -> None:
    content = smtplib._fix_eols("From: a@hive.example\n\none\ntwo\n").encode()  # type: ignore[attr-defined]
    assert read(content).text == "one\ntwo\n"


def test_the_standard_library_sees_the_same_message() -> None:
    mail = read(written_by_python(full_message()))
    built = mime.build(mail.content(message_id="1@hive.example", date=mime.EPOCH))
    parsed = email.message_from_bytes(built, policy=policy.default)
    assert parsed["From"].addresses[0].addr_spec == "alice@hive.example"
    assert [part.get_filename() for part in parsed.iter_attachments()] == ["Öl.pdf"]
