import pytest
from hypothesis import given
from hypothesis import strategies as st

from sending import replies
from sending.replies import GarbledReply, SmtpReply, Verdict


def reply(*lines: bytes) -> SmtpReply:
    return replies.parse(list(lines))


def test_a_reply_has_a_code_an_enhanced_code_and_a_text() -> None:
    read = reply(b"550 5.1.1 No such user here")
    assert (read.code, read.enhanced, read.text) == (550, "5.1.1", "No such user here")


def test_a_reply_of_many_lines_is_one_text() -> None:
    read = reply(b"250-2.0.0 first", b"250-2.0.0 second", b"250 2.0.0 third")
    assert (read.enhanced, read.lines) == ("2.0.0", ("first", "second", "third"))


def test_a_reply_without_text_is_a_reply() -> None:
    assert reply(b"250") == SmtpReply(250, "", ("",))


def test_an_enhanced_code_of_another_class_is_only_text() -> None:
    read = reply(b"450 5.1.1 try again")
    assert (read.enhanced, read.text) == ("", "5.1.1 try again")


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        (b"250 ok", Verdict.DONE),
        (b"354 go on", Verdict.GO_ON),
        (b"421 4.3.2 shutting down", Verdict.TEMPORARY),
        (b"451 greylisted", Verdict.TEMPORARY),
        (b"550 5.7.1 refused", Verdict.PERMANENT),
        (b"554 no", Verdict.PERMANENT),
        (b"552 5.2.2 mailbox full", Verdict.PERMANENT),
        (b"552 5.5.3 too many recipients", Verdict.TEMPORARY),
    ],
)
def test_a_code_is_judged(line: bytes, verdict: Verdict) -> None:
    assert reply(line).verdict is verdict


@pytest.mark.parametrize(
    "line",
    [b"000 zero", b"999 nine", b"199 one", b"600 six", b"25 ok", b"", b"HTTP/1.1 400", b"2500"],
)
def test_what_is_no_reply_is_garbled(line: bytes) -> None:
    with pytest.raises(GarbledReply):
        reply(line)


def test_a_code_that_changes_within_a_reply_is_garbled() -> None:
    with pytest.raises(GarbledReply):
        reply(b"250-ok", b"550 no")


def test_control_characters_of_a_stranger_are_not_kept() -> None:
    assert "\x1b" not in reply(b"550 \x1b[31mred\x00\xff").text
    assert len(reply(b"550 " + b"x" * 1_900).text) == replies.TEXT_LIMIT


def test_replies_are_taken_off_a_stream_one_by_one() -> None:
    buffer = bytearray(b"250-a\r\n250 b\r\n354 go\n22")
    assert [replies.take(buffer), replies.take(buffer), replies.take(buffer)] == [
        SmtpReply(250, "", ("a", "b")),
        SmtpReply(354, "", ("go",)),
        None,
    ]
    assert buffer == b"22"


@pytest.mark.parametrize(
    "flood", [b"2" * 3_000, b"220-x\r\n" * 200, b"220 " + b"y" * 3_000 + b"\n"]
)
def test_a_flood_is_garbled_before_it_is_kept(flood: bytes) -> None:
    with pytest.raises(GarbledReply):
        replies.take(bytearray(flood))


def test_capabilities_are_read_from_the_answer_to_ehlo() -> None:
    offered = replies.capabilities(
        reply(
            b"250-mx.example greets you",
            b"250-PIPELINING",
            b"250-SIZE 1000",
            b"250-auth plain LOGIN",
            b"250-8BITMIME",
            b"250-SMTPUTF8",
            b"250 STARTTLS",
        )
    )
    assert offered == replies.Capabilities(
        starttls=True,
        pipelining=True,
        eight_bit=True,
        smtputf8=True,
        size_limit=1_000,
        auth=frozenset({"PLAIN", "LOGIN"}),
    )


@pytest.mark.parametrize(
    "size", [b"250 SIZE", b"250 SIZE 0", b"250 SIZE lots", "250 SIZE ٣".encode()]
)
def test_a_size_without_a_number_is_no_limit(size: bytes) -> None:
    assert replies.capabilities(reply(b"250-hi", size)).size_limit is None


@given(st.binary(max_size=300))
def test_any_bytes_are_taken_refused_or_awaited(data: bytes) -> None:
    buffer = bytearray(data)
    try:
        read = replies.take(buffer)
    except GarbledReply:
        return
    if read is None:
        assert buffer == data
    else:
        assert 200 <= read.code <= 599
        assert read.text.isprintable()
        replies.capabilities(read)
