import email
import re
from datetime import UTC, datetime
from email import policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queensmtp import addresses
from queensmtp.addresses import AddressRefused, Mailbox
from queensmtp.errors import FieldError
from sending import content_rules, media_types, mime
from sending.contents import Attachment, Content
from sending.mime import EmittedHeadersDiffer

ALICE = addresses.parse("Alice <alice@hive.example>")
BOB = addresses.parse("bob@apiary.example")
NOON = datetime(2026, 11, 21, 12, 0, 5, tzinfo=UTC)


def content(**changes: Any) -> Content:
    values: dict[str, Any] = {
        "sender": ALICE,
        "to": (BOB,),
        "subject": "Hello",
        "message_id": "0193@hive.example",
        "date": NOON,
        "text": "Hi",
    }
    return Content(**(values | changes))


def parsed(message: bytes) -> EmailMessage:
    return email.message_from_bytes(message, policy=policy.default)


def body_of(message: bytes, kind: str = "plain") -> str:
    part = parsed(message).get_body(preferencelist=(kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content()).replace("\r\n", "\n")


def codes(problems: list[FieldError]) -> list[str]:
    return [problem.code for problem in problems]


# What is built


def test_the_headers_are_those_asked_for_in_order() -> None:
    message = mime.build(content(headers=(("X-Order", "17"),), cc=(BOB,), reply_to=(ALICE,)))
    assert mime.header_names(message) == [
        *("From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID", "MIME-Version"),
        *("X-Order", "Content-Type", "Content-Transfer-Encoding"),
    ]


def test_the_plainest_message_is_plain() -> None:
    message = mime.build(content())
    assert message.startswith(b"From: Alice <alice@hive.example>\r\nTo: bob@apiary.example\r\n")
    assert b"\r\nDate: Sat, 21 Nov 2026 12:00:05 +0000\r\n" in message
    assert b"\r\nMessage-ID: <0193@hive.example>\r\n" in message
    assert message.endswith(b"\r\n\r\nHi\r\n")


def test_the_same_content_gives_the_same_bytes() -> None:
    two = content(html="<p>Hi</p>", attachments=(Attachment("a.txt", "text/plain", b"a"),))
    assert mime.build(two) == mime.build(two)


def test_text_and_html_are_alternatives_and_files_stand_beside_them() -> None:
    message = mime.build(
        content(
            html='<img src="cid:logo">',
            attachments=(
                Attachment("logo.png", "image/png", b"\x89PNG", content_id="logo"),
                Attachment("terms.pdf", "application/pdf", b"%PDF"),
            ),
        )
    )
    mixed = parsed(message)
    types = [part.get_content_type() for part in mixed.walk()]
    assert types == [
        *("multipart/mixed", "multipart/alternative", "text/plain"),
        *("multipart/related", "text/html", "image/png", "application/pdf"),
    ]
    image = list(mixed.walk())[5]
    assert (image["Content-ID"], image.get_content_disposition()) == ("<logo>", "inline")


def test_an_inline_image_without_html_is_not_lost() -> None:
    image = Attachment("logo.png", "image/png", b"\x89PNG", content_id="logo")
    names = [
        part.get_filename() for part in parsed(mime.build(content(attachments=(image,)))).walk()
    ]
    assert "logo.png" in names


def test_an_empty_text_beside_html_is_left_out() -> None:
    assert parsed(mime.build(content(text="", html="<p>Hi</p>"))).get_content_type() == "text/html"


def test_line_ends_of_every_kind_become_crlf() -> None:
    assert mime.build(content(text="a\nb\rc\r\nd")).endswith(b"\r\n\r\na\r\nb\r\nc\r\nd\r\n")


def test_a_line_that_begins_with_from_cannot_be_changed_on_the_way() -> None:
    message = mime.build(content(text="From here\nFrom there"))
    assert not re.search(rb"^From (?=here|there)", message, re.MULTILINE)
    assert body_of(message) == "From here\nFrom there\n"


def test_a_line_of_any_length_is_broken_below_the_limit() -> None:
    message = mime.build(content(text="x" * 100_000))
    assert max(map(len, message.split(b"\r\n"))) <= mime.LINE_LIMIT
    assert body_of(message) == "x" * 100_000 + "\n"


def test_many_recipients_are_folded_and_none_is_lost() -> None:
    people = tuple(Mailbox(f"Person {n} Ü", f"p{n}", "hive.example") for n in range(1_000))
    message = mime.build(content(to=people))
    assert [a.addr_spec for a in parsed(message)["To"].addresses] == [p.address for p in people]
    assert [a.display_name for a in parsed(message)["To"].addresses] == [p.name for p in people]
    assert max(map(len, message.split(b"\r\n"))) <= 120


def test_an_international_local_part_stands_raw() -> None:
    jörg = addresses.parse("jörg@hive.example")
    assert "To: jörg@hive.example\r\n".encode() in mime.build(content(to=(jörg,)))


# Injection


@pytest.mark.parametrize(
    "hostile",
    [
        "=?utf-8?q?x=0D=0ABcc:_victim@evil.example?=",
        "=?utf-8?b?eA0KQmNjOiB2aWN0aW1AZXZpbC5leGFtcGxl?=",
        "=?utf-8?q?x=0D?= =?utf-8?q?=0ABcc:_victim@evil.example?=",
        "=?us-ascii?Q?=0A=0A<script>?=",
        "a =?x-unknown?q?=0D=0A?= b",
        "=?utf-7?q?+AA0ACg-Bcc:?=",
    ],
)
def test_an_encoded_word_reaches_the_reader_as_literal_text(hostile: str) -> None:
    message = mime.build(content(subject=hostile, headers=(("X-Note", hostile),)))
    block = message.partition(b"\r\n\r\n")[0]
    assert b"Bcc" not in block
    assert parsed(message)["Subject"] == hostile
    assert parsed(message)["X-Note"] == hostile
    assert parsed(message)["Bcc"] is None


def test_an_encoded_word_as_a_name_is_literal_text_too() -> None:
    hostile = Mailbox("=?utf-8?q?x=0D=0ABcc:_v@evil.example?=", "a", "hive.example")
    message = mime.build(content(to=(hostile,)))
    assert [one.display_name for one in parsed(message)["To"].addresses] == [hostile.name]


@pytest.mark.parametrize("hidden", ["a\r\nBcc: b@evil.example", "a\nb", "a\rb", "a\0b", "a\x1bb"])
def test_a_line_break_in_a_value_is_a_problem(hidden: str) -> None:
    assert codes(content_rules.validate_headers({"X-A": hidden})) == ["control_character"]
    assert codes(content_rules.validate_content(content(subject=hidden))) == ["control_character"]
    assert codes(content_rules.validate_headers({hidden: "a"})) == ["invalid_header_name"]


@pytest.mark.parametrize("smuggled", ["a\r\nBcc: b@evil.example", "a\n b", "a\r\n\r\nb"])
def test_what_validation_would_miss_is_not_emitted(smuggled: str) -> None:
    with pytest.raises(EmittedHeadersDiffer):
        mime.build(content(message_id=smuggled))


def test_check_emitted_sees_a_header_too_many_one_too_few_and_another_order() -> None:
    message = b"From: a\r\nTo: b\r\n\r\nbody\r\n"
    mime.check_emitted(message, ["From", "To"])
    for wrong in (["From"], ["From", "To", "Cc"], ["To", "From"]):
        with pytest.raises(EmittedHeadersDiffer):
            mime.check_emitted(message, wrong)


@pytest.mark.parametrize("body", [b"a\nb", b"a\rb", b"a\0b", b"x" * 999])
def test_check_emitted_sees_a_line_that_smtp_forbids(body: bytes) -> None:
    with pytest.raises(EmittedHeadersDiffer):
        mime.check_emitted(b"From: a\r\n\r\n" + body, ["From"])


# Custom headers


@pytest.mark.parametrize(
    "name",
    [
        *("Bcc", "from", "To", "CC", "Subject", "Reply-To", "Sender", "Return-Path", "Received"),
        *("DKIM-Signature", "ARC-Seal", "Authentication-Results", "Content-Type", "Resent-From"),
        *("content-transfer-encoding", "MIME-Version", "X-QueenSMTP-Id", "Date", "Message-ID"),
        *("Errors-To", "Disposition-Notification-To", "Foo"),
    ],
)
def test_a_header_that_is_not_the_callers_is_refused(name: str) -> None:
    assert codes(content_rules.validate_headers({name: "x"})) == ["header_not_allowed"]


@pytest.mark.parametrize("name", ["", " ", "X A", "X-A:", "X-Ä", "x" * 200, "X-\u200b", "1"])
def test_what_is_no_header_name_is_refused(name: str) -> None:
    (problem,) = content_rules.validate_headers({name: "x"})
    assert problem.code == "invalid_header_name"
    assert problem.field.isascii()
    assert len(problem.field) < 100


@pytest.mark.parametrize(
    "name", ["X-Entity-Ref-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "In-Reply-To"]
)
def test_a_harmless_header_is_taken(name: str) -> None:
    assert content_rules.validate_headers({name: "x"}) == []


def test_headers_are_bounded_in_number_and_size_and_named_once() -> None:
    assert codes(content_rules.validate_headers({f"X-{n}": "" for n in range(10_000)})) == [
        "too_many_headers"
    ]
    assert codes(content_rules.validate_headers({"X-A": "a " * 500_000})) == ["too_long"]
    assert codes(content_rules.validate_headers({"X-A": "a" * 1_000})) == ["too_long"]
    assert codes(content_rules.validate_headers({"X-A": "1", "x-a": "2"})) == ["duplicate_header"]


def test_a_long_unsubscribe_address_stands_whole() -> None:
    url = f"<https://hive.example/u/{'a' * 400}>"
    message = mime.build(content(headers=(("List-Unsubscribe", url),)))
    assert f"List-Unsubscribe: {url}\r\n".encode() in message


# Bodies and files


@pytest.mark.parametrize("broken", ["a\0b", "a\ud800b"])
def test_a_body_that_is_no_text_is_a_problem(broken: str) -> None:
    problems = content_rules.validate_content(content(text=broken, html=broken))
    assert [problem.field for problem in problems] == ["text", "html"]


@pytest.mark.parametrize(
    "filename",
    [
        "plain.txt",
        'with "quotes".txt',
        "back\\slash.txt",
        "ümläut.pdf",
        "日本語" * 60,
        "=?utf-8?q?a?=",
    ],
)
def test_a_filename_comes_back_as_it_was(filename: str) -> None:
    message = mime.build(content(attachments=(Attachment(filename, "text/plain", b"x"),)))
    (attachment,) = parsed(message).iter_attachments()
    assert attachment.get_filename() == filename


@pytest.mark.parametrize(
    ("attachment", "code"),
    [
        (Attachment("a\r\nBcc: x.txt", "text/plain", b""), "control_character"),
        (Attachment("a" * 300, "text/plain", b""), "too_long"),
        (Attachment("", "text/plain", b""), "missing"),
        (Attachment("a", "text", b""), "invalid_content_type"),
        (Attachment("a", "text/plain\r\nBcc: x@y", b""), "invalid_content_type"),
        (Attachment("a", "text/plain; a", b""), "invalid_content_type"),
        (Attachment("a", "image/png", b"", content_id="x>\r\nBcc: y"), "invalid_content_id"),
    ],
)
def test_a_broken_attachment_is_a_problem(attachment: Attachment, code: str) -> None:
    problems = content_rules.validate_content(content(attachments=(attachment,)))
    assert codes(problems) == [code]
    assert problems[0].field.startswith("attachments[0].")


def test_parameters_of_a_content_type_are_kept_when_they_mean_something() -> None:
    assert media_types.read('Text/Calendar; method=REQUEST; charset="utf-8"; name=x') == (
        "text/calendar",
        {"method": "REQUEST", "charset": "utf-8"},
    )
    assert media_types.read("message/rfc822") == ("application/octet-stream", {})


# Properties

SENDABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ONE_LINE = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=300
) | st.lists(st.sampled_from(["=?utf-8?q?", "=0D=0A", "?=", " ", "a", "é", "  ", "x" * 80])).map(
    "".join
)


@given(subject=ONE_LINE, value=ONE_LINE)
def test_any_line_of_text_comes_back_as_it_was(subject: str, value: str) -> None:
    candidate = content(subject=subject, headers=(("X-Any", value),))
    if content_rules.validate_content(candidate):
        return
    message = mime.build(candidate)
    assert parsed(message)["Subject"] == subject
    assert parsed(message)["X-Any"] == value


@given(text=SENDABLE, html=SENDABLE)
def test_any_body_comes_back_with_its_lines(text: str, html: str) -> None:
    message = mime.build(content(text=text, html=html))
    for kind, body in (("plain", text), ("html", html)):
        if body or (kind == "plain" and not html):
            expected = body.replace("\r\n", "\n").replace("\r", "\n")
            expected += "" if expected.endswith("\n") else "\n"
            assert body_of(message, kind) == expected


@given(name=st.text(max_size=200))
def test_any_name_that_is_taken_comes_back_as_it_was(name: str) -> None:
    try:
        sender = addresses.named(name, ALICE)
    except AddressRefused:
        return
    # Not policy.default here: 3.11 keeps the space between two encoded words of a phrase.
    raw = email.message_from_bytes(mime.build(content(sender=sender)))["From"]
    phrase, _, address = raw.rpartition(" <") if "<" in raw else ("", "", f"{raw}>")
    read = str(make_header(decode_header(phrase)))
    if phrase.startswith('"'):
        read = read[1:-1].replace('\\"', '"').replace("\\\\", "\\")
    assert (read, address) == (sender.name, f"{ALICE.address}>")


@given(data=st.binary(max_size=5_000))
def test_any_file_comes_back_as_it_was(data: bytes) -> None:
    message = mime.build(content(attachments=(Attachment("f.bin", "application/zip", data),)))
    (attachment,) = parsed(message).iter_attachments()
    assert attachment.get_payload(decode=True) == data
