"""The readers of reports, fed with what servers and strangers write."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sending import reports
from sending.reports import Kind, Report
from tests.factories.reports import abuse_report, delivery_report, out_of_office

PIECES = st.sampled_from(
    [
        b"Content-Type: multipart/report; boundary=x\r\n",
        b"Content-Type: message/delivery-status\r\n",
        b"Content-Type: message/feedback-report\r\n",
        b"Content-Type: message/rfc822\r\n",
        b"Action: failed\r\n",
        b"Status: 5.1.1\r\n",
        b"Diagnostic-Code: smtp; \xff\x00\xe2\x80\xae\r\n",
        b"Feedback-Type: abuse\r\n",
        b"--x\r\n",
        b"--x--\r\n",
        b"\r\n",
        b"\n",
        b" ((((",
        b"\x00\xff",
    ]
)


def read(content: bytes) -> Report | None:
    mail = reports.opened(content)
    part = reports.formal_part(mail) if mail else None
    return reports.read(part) if part else None


def test_a_delivery_report_says_who_refused_and_why() -> None:
    assert read(delivery_report()) == Report(
        Kind.FAILED,
        text="550 5.1.1 <ann@wasp.example>: User unknown",
        status="5.1.1",
        code=550,
        reporter="store.wasp.example",
    )


@pytest.mark.parametrize(
    ("status", "diagnostic", "read_as"),
    [
        ("5.0.0", "smtp; 550 5.1.1 <ann@wasp.example>: no such user", "5.1.1"),
        ("5.0.0", "smtp; 550-5.1.1 no such user", "5.1.1"),
        ("5.0.0", "smtp; 550 no such user", "5.0.0"),
        ("5.0.0", "smtp; 450 4.2.1 busy", "5.0.0"),
        ("5.0.0", "smtp; 550 see 5.1.1 of our rules", "5.0.0"),
        ("5.7.1", "smtp; 550 5.1.1 no such user", "5.7.1"),
        ("", "smtp; 550 5.1.1 no such user", "5.1.1"),
    ],
)
def test_a_status_that_says_nothing_gives_way_to_the_servers_own(
    status: str, diagnostic: str, read_as: str
) -> None:
    found = read(delivery_report(status=status, diagnostic=diagnostic))
    assert found is not None
    assert found.status == read_as


def test_a_long_reason_is_unfolded() -> None:
    folded = "smtp; 550 5.1.1 The account\n    that you tried to reach\n\tdoes not exist"
    report = read(delivery_report(diagnostic=folded))
    assert report and report.text == "550 5.1.1 The account that you tried to reach does not exist"


def test_a_delay_is_told_apart() -> None:
    report = read(delivery_report(action="Delayed", status="4.4.1", diagnostic="x; later"))
    assert report and (report.kind, report.status, report.code) == (Kind.DELAYED, "4.4.1", 0)


def test_among_several_recipients_the_failed_one_counts() -> None:
    content = delivery_report().replace(
        b"Final-Recipient: rfc822; ann@wasp.example",
        b"Final-Recipient: rfc822; list@wasp.example\r\nAction: expanded\r\nStatus: 2.0.0\r\n\r\n"
        b"Final-Recipient: rfc822; ann@wasp.example",
    )
    report = read(content)
    assert report and (report.kind, report.status) == (Kind.FAILED, "5.1.1")


@pytest.mark.parametrize("action", ["delivered", "relayed", "expanded", "", "nonsense"])
def test_what_is_no_failure_is_no_report(action: str) -> None:
    assert read(delivery_report(action=action)) is None


def test_a_report_that_a_gateway_wrapped_is_read() -> None:
    wrapped = b"Content-Type: multipart/mixed; boundary=out\r\n\r\n--out\r\n"
    report = read(wrapped + delivery_report() + b"\r\n--out--\r\n")
    assert report and report.status == "5.1.1"


@pytest.mark.parametrize("action", ["failure", "Failed (Bad destination mailbox address)"])
def test_other_words_for_a_failure_are_understood(action: str) -> None:
    report = read(delivery_report(action=action))
    assert report and report.kind is Kind.FAILED


@pytest.mark.parametrize("feedback", ["abuse", "fraud", "Virus", "opt-out"])
def test_a_complaint_names_its_sort(feedback: str) -> None:
    report = read(abuse_report(feedback))
    assert report == Report(Kind.COMPLAINT, text=feedback.lower(), reporter="mail.mailbox.example")


@pytest.mark.parametrize("feedback", ["not-spam", "", "auth-failure"])
def test_what_is_no_complaint_is_no_report(feedback: str) -> None:
    assert read(abuse_report(feedback)) is None


def test_an_automatic_answer_is_no_report() -> None:
    assert read(out_of_office()) is None


def test_a_report_inside_the_returned_message_is_not_believed() -> None:
    """Who writes a message must not write its report, too."""
    inner = delivery_report(action="failed").decode()
    outer = (
        "Content-Type: multipart/report; boundary=outer\r\n\r\n"
        f"--outer\r\nContent-Type: message/rfc822\r\n\r\n{inner}\r\n--outer--\r\n"
    )
    assert read(outer.encode()) is None
    assert read(f"Content-Type: message/rfc822\r\n\r\n{inner}".encode()) is None


def test_what_strangers_write_is_one_line_of_printable_text() -> None:
    hostile = "smtp; 550 \x1b[31m\u202e<script>\n X: y \x7f" + "z" * 9_000
    report = read(delivery_report(diagnostic=hostile))
    assert report and report.text.isprintable() and len(report.text) <= reports.TEXT_AT_MOST


@pytest.mark.parametrize(
    "content",
    [
        b"Content-Type: multipart/report; boundary=x\r\n\r\n"
        + b"--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" * 5_000,
        b"Content-Type: multipart/report; boundary=x\r\n\r\n"
        + b"--x\r\nContent-Type: message/rfc822\r\n\r\n" * 5_000,
        b"Content-Type: multipart/report; " + b'x=";;;' * 100_000 + b"\r\n\r\n",
        b"Content-Type: multipart/report;\r\n" + b' x=";;;;\r\n' * 50_000 + b"\r\n\r\n",
        b"Content-Type: multipart/report (" + b"(" * 400_000,
        b"Received: x\r\n" * 40_000 + b"\r\n",
        b"\r\n" * 250_000,
        b"a" * 520_000,
    ],
    ids=["multiparts", "messages", "quotes", "folded", "comments", "headers", "lines", "one line"],
)
def test_a_hostile_mail_costs_little(content: bytes) -> None:
    began = time.process_time()
    assert read(content) is None
    assert time.process_time() - began < 5


@given(st.lists(PIECES, max_size=40).map(b"".join))
@settings(max_examples=200, deadline=None)
def test_nothing_makes_it_fail(content: bytes) -> None:
    report = read(content)
    assert report is None or (report.text.isprintable() and report.reporter.isprintable())


@given(st.binary(max_size=300), st.integers(0, 1_500))
@settings(max_examples=200, deadline=None)
def test_damage_does_not_make_it_fail(noise: bytes, at: int) -> None:
    content = delivery_report()
    read(content[:at] + noise + content[at + len(noise) :])
    read(content[:at])
