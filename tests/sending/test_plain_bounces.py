"""Bounces written for people, by real servers; and what only looks like one."""

import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sending import bounces, plain_bounces, reports
from sending.reports import Kind, Report
from tests.factories.reports import out_of_office

SAMPLES = Path(__file__).parent / "plain_bounces"


def sample(name: str) -> bytes:
    return (SAMPLES / f"{name}.txt").read_bytes()


def read(content: bytes, *, sender: str = "") -> Report | None:
    mail = reports.opened(content)
    return plain_bounces.read(mail, sender=sender) if mail else None


@pytest.mark.parametrize(
    ("name", "kind", "status", "code", "is_hard"),
    [
        ("qmail", Kind.FAILED, "5.1.1", 0, True),
        ("exim", Kind.FAILED, "5.1.1", 553, True),
        ("exim_auto_replied", Kind.FAILED, "", 0, True),
        ("exchange_5", Kind.FAILED, "", 0, True),
        ("yahoo", Kind.FAILED, "", 0, True),
        ("exim_warning", Kind.DELAYED, "", 0, False),
        ("unclear", Kind.UNCLEAR, "", 0, False),
    ],
)
def test_a_bounce_for_people_is_understood(
    name: str, kind: Kind, status: str, code: int, is_hard: bool
) -> None:
    report = read(sample(name))
    assert report is not None
    assert (report.kind, report.status, report.code) == (kind, status, code)
    judged = bounces.classify(code=report.code, enhanced=report.status, text=report.text)
    assert judged.is_hard is is_hard


def test_the_reason_is_what_stands_beside_the_address() -> None:
    report = read(sample("qmail"))
    assert report is not None
    assert report.text == (
        "<userx@example.jp>: Sorry, no mailbox here by that name. vpopmail (#5.1.1)"
    )


@pytest.mark.parametrize("sender", ["", "contact@example.com"])
def test_an_automatic_answer_is_no_bounce(sender: str) -> None:
    assert read(sample("out_of_office"), sender=sender) is None
    assert read(out_of_office(), sender=sender) is None


def test_an_automatic_answer_that_quotes_a_bounce_is_none() -> None:
    quoted = sample("qmail").replace(b"MAILER-DAEMON@pop.hbc.co.jp", b"ann@wasp.example")
    assert read(b"Auto-Submitted: auto-replied\n" + quoted) is None
    assert read(b"X-Autoreply: yes\n" + quoted) is None


def test_what_a_person_writes_is_no_bounce() -> None:
    quoted = sample("qmail").replace(b"MAILER-DAEMON@pop.hbc.co.jp", b"ann@wasp.example")
    assert read(quoted, sender="ann@wasp.example") is None


def test_the_message_that_came_back_does_not_speak() -> None:
    """Who writes a message must not write its bounce, too."""
    inner = sample("qmail").decode()
    mail = (
        "From: MAILER-DAEMON@mx.example\nContent-Type: multipart/mixed; boundary=b\n\n"
        f"--b\nContent-Type: text/plain\n\nHere you are.\n"
        f"--b\nContent-Type: message/rfc822\n\n{inner}\n--b--\n"
    )
    report = read(mail.encode())
    assert report is not None and report.kind is Kind.UNCLEAR


def test_text_beside_html_is_read() -> None:
    text = sample("qmail").partition(b"\n\n")[2].decode()
    mail = (
        "From: MAILER-DAEMON@mx.example\nContent-Type: multipart/mixed; boundary=a\n\n"
        "--a\nContent-Type: multipart/alternative; boundary=b\n\n"
        f"--b\nContent-Type: text/plain\n\n{text}\n"
        "--b\nContent-Type: text/html\n\n<p>\n--b--\n--a--\n"
    )
    report = read(mail.encode())
    assert report is not None and report.status == "5.1.1"


def test_a_body_in_base64_is_read() -> None:
    head, _, body = sample("qmail").partition(b"\n\n")
    mail = reports.opened(head + b"\nContent-Type: text/plain\n\n" + body)
    assert mail is not None
    del mail["Content-Transfer-Encoding"]
    mail.set_payload(body, "utf-8")
    assert mail["Content-Transfer-Encoding"] == "base64"
    report = read(bytes(mail))
    assert report is not None and report.status == "5.1.1"


@pytest.mark.parametrize(
    "content",
    [
        b"From: MAILER-DAEMON@a.example\r\nX-Failed-Recipients: " + b"((((,<" * 80_000,
        b"From: MAILER-DAEMON@a.example\r\n" + b"X-Failed-Recipients: (((((\r\n" * 20_000,
        b"From: MAILER-DAEMON@a.example\r\n\r\nFailed addresses follow:\r\n" + b"a" * 500_000,
        b"From: MAILER-DAEMON@a.example\r\n\r\nFailed addresses follow:\r\n" + b"<" * 500_000,
        b"From: MAILER-DAEMON@a.example\r\n\r\nYour message\r\n" + b"x@\r\n" * 120_000,
        b"From: " + b"(" * 400_000 + b"\r\n\r\nHi",
    ],
    ids=["brackets", "headers", "line", "angles", "lines", "author"],
)
def test_a_hostile_bounce_costs_little(content: bytes) -> None:
    began = time.process_time()
    read(content)
    assert time.process_time() - began < 3


@given(
    st.sampled_from(sorted(path.stem for path in SAMPLES.glob("*.txt"))),
    st.binary(max_size=300),
    st.integers(0, 2_500),
)
@settings(max_examples=150, deadline=None)
def test_damage_does_not_make_it_fail(name: str, noise: bytes, at: int) -> None:
    content = sample(name)
    report = read(content[:at] + noise + content[at + len(noise) :])
    assert report is None or (report.text.isprintable() and report.reporter.isprintable())
