from email.header import Header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queensmtp.addresses import AddressRefused
from sending import header_text
from sending.header_text import UnreadableHeader


def fields(block: bytes) -> list[tuple[str, str]]:
    return header_text.split_message(block + b"\r\n\r\nbody")[0]


def test_folded_fields_are_joined() -> None:
    assert fields(b"Subject: one\r\n two\r\n\tthree\r\nX-A:b") == [
        ("Subject", "one two\tthree"),
        ("X-A", "b"),
    ]


@pytest.mark.parametrize(
    "block",
    [
        b"From : a@hive.example",
        b"no header",
        b" folded first",
        b": no name",
        b"Fr\xc3\xb6m: a",
        b"Subject: \xff",
        b"X: " + b"x" * 300_000,
        b"X: y\r\n" * 600,
    ],
)
def test_a_block_that_can_be_read_in_two_ways_is_not_read(block: bytes) -> None:
    with pytest.raises(UnreadableHeader):
        fields(block)


def test_a_message_without_headers_has_none() -> None:
    assert header_text.split_message(b"\r\nbody") == ([], b"body")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
        ("=?utf-8?B?R3LDvMOfZQ?=", "Grüße"),
        ("=?iso-8859-1*de?q?Gr=FC=DFe?=", "Grüße"),
        ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        ("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        ("=?utf-8?b?w7w=?= =?iso-8859-1?q?=FC?=", "üü"),
        # Split within a character, as some clients do.
        ("=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "ü"),
        ("=?utf-8?q?with_space?=", "with space"),
        ("2 + 2 =? 4", "2 + 2 =? 4"),
        ("", ""),
    ],
)
def test_encoded_words_are_decoded(text: str, plain: str) -> None:
    assert header_text.decoded(text) == plain


@pytest.mark.parametrize(
    "text",
    ["=?unicode_escape?q?=5Cx41?=", "=?idna?q?a?=", "=?utf-7?q?+AA0-?=", "=?utf-8?q?=FF?="],
)
def test_a_charset_that_is_none_or_is_broken_is_not_guessed(text: str) -> None:
    with pytest.raises(UnreadableHeader):
        header_text.decoded(text)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"])))
def test_what_the_standard_library_encodes_is_decoded(text: str) -> None:
    encoded = Header(text, "utf-8", maxlinelen=10**6).encode()
    assert header_text.decoded(encoded) == text


@given(st.text())
def test_any_text_is_decoded_or_refused(text: str) -> None:
    try:
        header_text.decoded(text)
        header_text.mailboxes(text)
    except (UnreadableHeader, AddressRefused) as refused:
        assert str(refused)


def test_mailboxes_are_split_at_commas_outside_quotes() -> None:
    found = header_text.mailboxes(
        '"Hive, Inc." <a@hive.example>, b@hive.example ,Bee <c@hive.example>'
    )
    assert [(one.name, one.address) for one in found] == [
        ("Hive, Inc.", "a@hive.example"),
        ("", "b@hive.example"),
        ("Bee", "c@hive.example"),
    ]


def test_a_name_in_encoded_words_is_read() -> None:
    assert header_text.mailbox("=?utf-8?q?J=C3=B6rg?= <j@hive.example>").name == "Jörg"
    assert header_text.mailbox('"=?utf-8?q?J=C3=B6rg?=" <j@hive.example>').name == "Jörg"


@pytest.mark.parametrize("text", ["", "undisclosed-recipients:;", "Undisclosed recipients: ;"])
def test_a_group_of_nobody_is_nobody(text: str) -> None:
    assert header_text.mailboxes(text) == []


@pytest.mark.parametrize(
    "text",
    [
        "alice@good.example, <bob@evil.example>",
        "<a@good.example><x@evil.example>",
        "a@good.example <x@evil.example>",
        "<@good.example:x@evil.example>",
        "=?utf-8?q?x=40evil.example=3E_?=@good.example",
        "=?utf-8?q?ceo=40bank.example?= <a@good.example>",
        '"ceo@bank.example" <a@good.example>',
        "=?utf-8?q?x=0D=0ABcc:_y@evil.example?= <a@good.example>",
        "a@good.example (b@evil.example)",
        "(a@evil.example) <a@good.example>",
        "group: a@good.example;",
        '"open <a@good.example>',
        "a@good.example,",
        "",
    ],
)
def test_a_from_that_two_readers_may_read_differently_is_refused(text: str) -> None:
    with pytest.raises((UnreadableHeader, AddressRefused)):
        print(header_text.mailbox(text))
