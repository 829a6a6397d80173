"""Threats S1 to S24: a key for good.example never sends as anybody else, by no door."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from queensmtp.tenancy import tenant
from sending import interpreter, mime, received_mail
from sending.letters import content_to_send, opened
from sending.models import Message
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import make_key
from tests.sending.doors import DOORS, GOOD, TO, by_http, by_smtp, raw, stored


@pytest.fixture
def token(cast: Cast) -> str:
    """Of an account that owns both domains, so that only the key stands in the way."""
    make_domain(cast.hive, "good.example")
    make_domain(cast.hive, "evil.example")
    return make_key(cast.hive, domains=("good.example",))[1]


ZERO_WIDTH, SOFT_HYPHEN, NBSP = "\u200b", "\u00ad", "\u00a0"

NOT_GOOD = [
    # S1
    *("x@evil.example", "x@sub.good.example", "x@good.example.evil.example"),
    *("x@evilgood.example", "x@good.exampl", "x@example"),
    # S2
    *("x@good.example.", "x@good.example..", "x@.good.example", "x@good..example"),
    # S3
    *("x@good。example", "x@ｇｏｏｄ.example", "x@ⓖood.example", f"x@go{SOFT_HYPHEN}od.example"),
    *(f"x@good{ZERO_WIDTH}.example", "x@gooß.example", "x@good．example", "x@good｡example"),
    # S4
    *("x@goоd.example", "x@xn--god-sed.example"),
    # S9, S10
    *("alice@good.example, <bob@evil.example>", "<a@good.example><x@evil.example>"),
    *("a@good.example <x@evil.example>", "<@good.example:x@evil.example>"),
    "a@good.example,x@evil.example",
    # S12, S13
    "=?utf-8?q?x=40evil.example=3E_?=@good.example",
    *('"ceo@bank.example" <a@good.example>', "=?utf-8?q?ceo=40bank.example?= <a@good.example>"),
    *("\u202eelpmaxe.knab@oec <a@good.example>", f"ceo{NBSP}@{NBSP}bank.example <a@good.example>"),
    # S17
    *("x@[127.0.0.1]", "x@[IPv6:::1]", "x", "x@localhost", ""),
    *("<>", "x@good.example\x00@evil.example", '"x@evil.example"@good.example'),
]


@pytest.mark.parametrize("sender", NOT_GOOD)
@pytest.mark.parametrize("door", DOORS)
def test_a_sender_who_is_not_the_keys_is_refused(
    cast: Cast, token: str, door: str, sender: str
) -> None:
    if door == "smtp":
        answer = by_smtp(token, raw(f"From: {sender}"))
        assert 500 <= answer.code < 600, answer.text
    else:
        answer = by_http(door, token, {"from": sender})
        assert answer.code in (403, 422), answer.text
    assert stored(cast) == []


@pytest.mark.parametrize("door", DOORS)
def test_the_case_of_a_domain_does_not_count(cast: Cast, token: str, door: str) -> None:
    sender = "x@GOOD.example"
    if door == "smtp":
        answer = by_smtp(token, raw(f"From: {sender}"))
    else:
        answer = by_http(door, token, {"from": sender})
    assert answer.is_accepted, answer.text
    assert "x@good.example" in {one.sender_address for one in stored(cast)}


# --- By SMTP: the envelope, and what only a raw message can say ----------------------------------


@pytest.mark.parametrize(
    ("envelope", "header"),
    [
        ("x@evil.example", GOOD),
        (GOOD, "x@evil.example"),
        ("", GOOD),
        ("postmaster", GOOD),
        ("@good.example:x@evil.example", GOOD),
        ("x%evil.example@good.example", GOOD),
    ],
)
def test_envelope_and_header_are_both_looked_at(
    cast: Cast, token: str, envelope: str, header: str
) -> None:
    answer = by_smtp(token, raw(f"From: {header}"), sender=envelope)
    assert answer.code in (550, 554), answer.text
    assert stored(cast) == []


# The ways of `espoofer` (Chen, Paxson, Jiang: "Composition Kills", 2020), each as it is told there.
ESPOOFER = {
    "two from headers, evil first": ["From: x@evil.example", f"From: {GOOD}"],
    "two from headers, good first": [f"From: {GOOD}", "From: x@evil.example"],
    "a space before the colon": [f"From: {GOOD}", "From : x@evil.example"],
    "only with a space before the colon": ["From : x@evil.example"],
    "a space before the name": [" From: x@evil.example", f"From: {GOOD}"],
    "a folded name": ["From\r\n : x@evil.example", f"From: {GOOD}"],
    "a name in capitals twice": ["FROM: x@evil.example", f"From: {GOOD}"],
    "several addresses, evil first": [f"From: <x@evil.example>, <{GOOD}>"],
    "several addresses, good first": [f"From: <{GOOD}>, <x@evil.example>"],
    "a comma at the end": [f"From: <{GOOD}>,"],
    "no address but a group": ["From: evil: x@evil.example;"],
    "a route": [f"From: <@evil.example,@any.example:{GOOD}>"],
    "a quoted pair": [f"From: <x@evil.example>\\,<{GOOD}>"],
    "specials out of order": [f"From: x@evil.example,<{GOOD}"],
    "text behind the address": [f"From: <{GOOD}>x@evil.example"],
    "text before the address": [f"From: x@evil.example<{GOOD}>"],
    "a comment": [f"From: {GOOD} (x@evil.example)"],
    "an encoded address": ["From: =?utf-8?b?PHhAZXZpbC5leGFtcGxlPg==?="],
    "an encoded address before the good one": [
        f"From: =?utf-8?b?PHhAZXZpbC5leGFtcGxlPg==?= <{GOOD}>"
    ],
    "a nul": [f"From: x@evil.example\x00<{GOOD}>"],
    "no from at all": [],
    "an empty from": ["From:"],
    "an empty line before from": ["", "From: x@evil.example"],
    "eight bits that are no text": [f"From: \udcff@evil.example <{GOOD}>"],
}


@pytest.mark.parametrize("name", ESPOOFER)
def test_what_readers_disagree_about_is_refused(cast: Cast, token: str, name: str) -> None:
    answer = by_smtp(token, raw(*ESPOOFER[name]))
    assert 500 <= answer.code < 600, answer.text
    assert stored(cast) == []


# Where what is odd is the value, and not the name of the header, which a field has not.
IN_ONE_FIELD = [
    name for name, lines in ESPOOFER.items() if len(lines) == 1 and lines[0].startswith("From:")
]


@pytest.mark.parametrize("name", IN_ONE_FIELD)
@pytest.mark.parametrize("door", ["api", "batch"])
def test_the_same_is_refused_in_a_field(cast: Cast, token: str, name: str, door: str) -> None:
    _, colon, sender = ESPOOFER[name][0].partition(":")
    answer = by_http(door, token, {"from": sender.strip()})
    assert answer.code in (400, 403, 422), answer.text
    assert stored(cast) == []


# S14, S20
NOT_THE_CALLERS = [
    *("Sender", "Resent-From", "Resent-Sender", "Return-Path", "Errors-To", "From", "Bcc", "To"),
    *("Disposition-Notification-To", "DKIM-Signature", "Received", "ARC-Seal", "Date"),
    *("ARC-Message-Signature", "Authentication-Results", "Content-Type", "Message-ID"),
    *("Content-Transfer-Encoding", "X-QueenSMTP-Id", "MIME-Version", "", "X Y", "X:Y", "X-é"),
]


@pytest.mark.parametrize("name", NOT_THE_CALLERS)
@pytest.mark.parametrize("door", ["api", "batch"])
def test_headers_that_are_not_the_callers_are_refused(
    cast: Cast, token: str, name: str, door: str
) -> None:
    answer = by_http(door, token, {"headers": {name: "x@evil.example"}})
    assert answer.code == 422, answer.text
    assert stored(cast) == []


@pytest.mark.parametrize("headers", [{f"X-{n}": "a" for n in range(10_000)}, {"X-A": "a" * 10**6}])
@pytest.mark.parametrize("door", ["api", "batch"])
def test_headers_are_bounded(cast: Cast, token: str, headers: dict[str, str], door: str) -> None:
    assert by_http(door, token, {"headers": headers}).code == 422
    assert stored(cast) == []


@pytest.mark.parametrize("name", ["Sender", "Resent-From", "Return-Path", "Reply-To", "Errors-To"])
def test_by_smtp_what_names_another_sender_stays_behind(cast: Cast, token: str, name: str) -> None:
    assert by_smtp(token, raw(f"From: {GOOD}", f"{name}: x@evil.example")).is_accepted
    (message,) = stored(cast)
    fields = header_fields(emitted(cast, message))
    assert [value for field, value in fields if field == "from"] == [GOOD]
    named = [field for field, value in fields if "evil.example" in value]
    assert named == (["reply-to"] if name == "Reply-To" else [])


# --- S19: what comes out is what was asked for, and nothing else ---------------------------------


@pytest.mark.parametrize(
    "hostile",
    [
        *interpreter.HOSTILE,
        "=?us-ascii?Q?=0A=0A<script>?=",
        "a =?x-unknown?q?=0D=0A?= b",
        "=?utf-7?q?+AA0ACg-Bcc:?=",
        "=?iso-2022-jp?b?GyRCDQpCY2M6?=",
    ],
)
@pytest.mark.parametrize("door", DOORS)
def test_no_header_is_smuggled_in_an_encoded_word(
    cast: Cast, token: str, door: str, hostile: str
) -> None:
    if door == "smtp":
        answer = by_smtp(
            token,
            raw(f"From: {GOOD}", f"X-Note: {hostile}").replace(
                b"Subject: Hello", f"Subject: {hostile}".encode()
            ),
        )
    else:
        fields: Any = {"subject": hostile, "headers": {"X-Note": hostile}}
        answer = by_http(door, token, fields)
    assert answer.is_accepted or answer.code in (422, 554), answer.text
    for message in stored(cast):
        fields = header_fields(emitted(cast, message))
        assert "bcc" not in [name for name, _ in fields]
        allowed = {"from", "to", "subject", "date", "message-id", "mime-version", "x-note"}
        allowed |= {"content-type", "content-transfer-encoding"}
        assert {name for name, _ in fields} <= allowed


def test_the_start_proves_the_interpreter() -> None:
    interpreter.prove()


def test_the_start_is_refused_where_a_header_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def smuggling(value: str) -> bytes:
        return b"Subject: x\r\nBcc: victim@evil.example\r\n\r\n"

    monkeypatch.setattr(interpreter, "_djangos", smuggling)
    with pytest.raises(ImproperlyConfigured, match="smuggled into mail .smuggling."):
        interpreter.prove()


def emitted(cast: Cast, message: Message) -> bytes:
    with tenant(cast.hive.pk):
        return mime.build(content_to_send(message, opened(message)))


def header_fields(message: bytes) -> list[tuple[str, str]]:
    """Read by eye, not by the library that is in question."""
    block = message.partition(b"\r\n\r\n")[0].decode()
    lines = block.replace("\r\n ", " ").replace("\r\n\t", " ").split("\r\n")
    fields = [line.partition(":") for line in lines]
    return [(name.lower(), value.strip()) for name, _, value in fields]


def test_the_reader_keeps_one_sender_whatever_stands_around(cast: Cast) -> None:
    mail = received_mail.read(raw(f"From: Alice <{GOOD}>"), recipients=[TO])
    assert mail.sender is not None and mail.sender.address == GOOD
