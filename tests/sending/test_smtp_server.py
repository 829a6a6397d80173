import contextlib
import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sending import smtp_connection, smtp_server, smtp_session
from sending.mailrooms import Client, Envelope, Limits, LoggedIn, Port
from sending.smtp_content import Content
from tests.certificates import Authority
from tests.sending.conversations import Conversation, close_all
from tests.sending.running import running

DIALOGS = sorted((Path(__file__).parent / "dialogs").glob("*.txt"))
LIMITS = Limits(20_000, recipients=5, sessions=20, sessions_per_address=10)


class Ledger:
    """A mailroom that writes down what it takes; its one password is `good`."""

    def __init__(self, *, needs_login: bool) -> None:
        self.needs_login = needs_login
        self.taken: list[tuple[Envelope, bytes, Client]] = []

    async def log_in(self, user: str, password: str, client: Client) -> LoggedIn | str:
        return LoggedIn(user) if password == "good" else "535 5.7.8 Wrong user or password"

    async def refuse_sender(self, envelope: Envelope, client: Client) -> str | None:
        return None

    async def refuse_recipient(
        self, address: str, envelope: Envelope, client: Client
    ) -> str | None:
        return None if "@" in address else "550 5.1.1 No such mailbox"

    async def take(self, envelope: Envelope, content: bytes, client: Client) -> str:
        self.taken.append((envelope, content, client))
        if b"explode" in content:
            raise ZeroDivisionError
        return "250 2.0.0 Stored as 17"


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    return smtp_server.tls_context(*authority.issue("localhost"))


@pytest.fixture
def ledger() -> Ledger:
    return Ledger(needs_login=False)


@pytest.fixture
def open_port(ledger: Ledger, tls: ssl.SSLContext) -> Iterator[int]:
    with running(Port("localhost", LIMITS, tls=tls), ledger) as number:
        yield number


def conversation(port: int) -> Conversation:
    talk = Conversation(port)
    talk.hold("S: 220 .*\nC: HELO hive.example\nS: 250 .*")
    return talk


def begin_content(port: int) -> Conversation:
    talk = conversation(port)
    talk.hold(
        "C: MAIL FROM:<a@hive.example>\nS: 250 .*\nC: RCPT TO:<b@apiary.example>\nS: 250 .*\n"
        "C: DATA\nS: 354 .*"
    )
    return talk


@pytest.mark.parametrize("path", DIALOGS, ids=lambda path: path.stem)
def test_the_dialog(path: Path, tls: ssl.SSLContext, authority: Authority) -> None:
    kind = path.stem.partition("-")[0]
    is_submission, is_implicit = kind.startswith("submission"), kind == "submission_tls"
    port = Port("localhost", LIMITS, tls=tls, is_implicit_tls=is_implicit, needs_tls=is_submission)
    mailroom = Ledger(needs_login=is_submission)
    if kind == "inbox":
        mailroom.take = _stores  # type: ignore[method-assign]
    with running(port, mailroom) as number:
        talk = Conversation(number, ca_file=authority.ca_file, implicit=is_implicit)
        talk.hold(path.read_text(encoding="utf-8"))


async def _stores(envelope: Envelope, content: bytes, client: Client) -> str:
    return "250 2.0.0 Stored as 17"


# Smuggling


@pytest.mark.parametrize(
    "end",
    [
        *("\n.\n", "\n.\r\n", "\r.\r", "\r.\r\n", "\r\n.\n", "\r\n.\r", "\r\n\0.\r\n"),
        *("\n\n.\r\n", "\r\r\n.\r\n", "\r\n.\r\r\n", "\n.\r"),
    ],
)
def test_an_end_of_data_that_others_may_see_ends_the_connection(
    open_port: int, ledger: Ledger, end: str
) -> None:
    talk = begin_content(open_port)
    smuggled = f"Subject: one{end}MAIL FROM:<evil@hive.example>\r\n"
    talk.send(smuggled.encode() + b"RCPT TO:<c@apiary.example>\r\nDATA\r\nevil\r\n.\r\n")
    talk.expect("554 5.6.0 .*")
    talk.expect_end()
    assert ledger.taken == []


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_content_in_pieces_is_the_same_content(open_port: int, ledger: Ledger, size: int) -> None:
    talk = begin_content(open_port)
    data = b".leading\r\n..\r\n...x\r\n\r\nend.\r\n.\r\n"
    stuffed = b"." + data
    for start in range(0, len(stuffed), size):
        talk.send(stuffed[start : start + size])
        time.sleep(0.001)
    talk.expect("250 .*")
    assert ledger.taken[0][1] == b".leading\r\n.\r\n..x\r\n\r\nend.\r\n"


@pytest.mark.parametrize("cut", range(1, 14))
def test_a_bare_line_end_is_found_wherever_the_pieces_are_cut(cut: int) -> None:
    for foul in (b"ab\r\ncd\nef\r\n", b"ab\r\ncd\ref\r\n", b"ab\r\ncd\0ef\r\n"):
        content = Content(1_000)
        content.feed(foul[:cut])
        content.feed(foul[cut:])
        assert content.is_foul
    content = Content(1_000)
    content.feed(b"ab\r\ncd\r\nef\r\n"[:cut])
    content.feed(b"ab\r\ncd\r\nef\r\n"[cut:])
    assert not content.is_foul


def test_an_empty_message_is_a_message(open_port: int, ledger: Ledger) -> None:
    talk = begin_content(open_port)
    talk.send(b".\r\n")
    talk.expect("250 .*")
    assert ledger.taken[0][1] == b""


# Bounds


def test_a_message_over_the_limit_is_refused_and_the_session_goes_on(
    open_port: int, ledger: Ledger
) -> None:
    talk = begin_content(open_port)
    talk.send(b"x" * 78 + b"\r\n" * 30_000 + b".\r\n")
    talk.expect("552 5.3.4 .*")
    talk.hold("C: NOOP\nS: 250 .*")
    assert ledger.taken == []


def test_an_announced_size_that_lies_buys_no_room(open_port: int, ledger: Ledger) -> None:
    talk = conversation(open_port)
    talk.hold("C: MAIL FROM:<a@hive.example> SIZE=10\nS: 250 .*")
    talk.hold("C: RCPT TO:<b@apiary.example>\nS: 250 .*\nC: DATA\nS: 354 .*")
    talk.send((b"x" * 78 + b"\r\n") * 300 + b".\r\n")
    talk.expect("552 5.3.4 .*")
    assert ledger.taken == []


def test_a_flood_ends_the_connection(open_port: int, ledger: Ledger) -> None:
    talk = begin_content(open_port)
    try:
        for _ in range(1_000):
            talk.send(b"x" * 10_000 + b"\r\n")
    except OSError:
        pass
    else:
        pytest.fail("a gigabyte would have been read")
    assert ledger.taken == []


def test_recipients_are_counted_and_taken_once(open_port: int, ledger: Ledger) -> None:
    talk = conversation(open_port)
    talk.hold("C: MAIL FROM:<a@hive.example>\nS: 250 .*")
    for name in ("p1", "p1", "p2", "p3", "p4", "p5"):
        talk.hold(f"C: RCPT TO:<{name}@apiary.example>\nS: 250 .*")
    talk.hold("C: RCPT TO:<p6@apiary.example>\nS: 452 4\\.5\\.3 .*")
    talk.hold("C: DATA\nS: 354 .*\nC: x\nC: .\nS: 250 .*")
    assert len(ledger.taken[0][0].recipients) == 5


@pytest.mark.parametrize("line", [b"EHLO " + b"x" * 10_000, b"N" * 100_000])
def test_an_endless_line_ends_the_connection(open_port: int, line: bytes) -> None:
    talk = Conversation(open_port)
    talk.expect("220 .*")
    talk.send(line)
    talk.expect("500 5.5.2 Line too long")
    talk.expect_end()


@pytest.mark.parametrize("begin", [b"AUTH PLAIN ", b"AUTH PLAIN\r\n", b"AUTH LOGIN\r\n"])
def test_a_megabyte_of_password_ends_the_connection(begin: bytes) -> None:
    with running(Port("localhost", LIMITS), Ledger(needs_login=True)) as number:
        talk = conversation(number)
        talk.send(begin)
        if begin.endswith(b"\r\n"):
            talk.expect("334 .*")
        # The rest of the line may meet a connection that is closed already.
        with contextlib.suppress(OSError):
            talk.send(b"A" * 1_000_000 + b"\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert talk.socket.recv(100) == b"500 5.5.2 Line too long\r\n"
            talk.expect_end()


def test_endless_errors_end_the_connection(open_port: int) -> None:
    talk = conversation(open_port)
    for _ in range(smtp_connection.ERRORS_LIMIT):
        talk.hold("C: XYZZY\nS: 500 .*")
    talk.hold("C: XYZZY\nS: 421 .*\nCLOSED")


def test_endless_refusals_end_the_connection(
    open_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp_session, "REFUSALS_LIMIT", 3)
    talk = conversation(open_port)
    talk.hold("C: MAIL FROM:<a@hive.example>\nS: 250 .*")
    for _ in range(3):
        talk.hold("C: RCPT TO:<nobody>\nS: 550 .*")
    talk.hold("C: RCPT TO:<nobody>\nS: 421 .*\nCLOSED")


def test_the_silent_and_the_slow_are_sent_away(tls: ssl.SSLContext, ledger: Ledger) -> None:
    limits = Limits(20_000, idle_seconds=0.3, content_seconds=0.5)
    with running(Port("localhost", limits, tls=tls), ledger) as number:
        silent = Conversation(number)
        silent.hold("S: 220 .*\nS: 421 4\\.4\\.2 .*\nCLOSED")
        slow = begin_content(number)
        began = time.monotonic()
        with pytest.raises((AssertionError, OSError)):
            for _ in range(100):
                slow.send(b"x\r\n")
                time.sleep(0.05)
        assert time.monotonic() - began < 3
    assert ledger.taken == []


def test_endless_idle_commands_end_the_connection(open_port: int) -> None:
    talk = conversation(open_port)
    talk.send(b"NOOP\r\n" * 2_000)
    for _ in range(smtp_session.IDLE_COMMANDS_LIMIT - 1):
        talk.expect("250 2.0.0 Ok")
    talk.hold("S: 421 4\\.7\\.0 Too many commands .*\nCLOSED")


def test_who_reads_no_replies_is_made_to_wait(open_port: int) -> None:
    talk = conversation(open_port)
    talk.hold("C: MAIL FROM:<a@hive.example>\nS: 250 .*")
    talk.socket.settimeout(0.5)
    with pytest.raises(TimeoutError):
        for _ in range(100):
            talk.send(b"RCPT TO:<b@apiary.example>\r\n" * 10_000)
    # It is served again as soon as it reads.
    talk.socket.settimeout(5)
    for _ in range(1_000):
        talk.expect("250 2.1.5 Ok")


def test_one_address_gets_so_many_sessions_and_gives_them_back(
    open_port: int,
) -> None:
    talks = [conversation(open_port) for _ in range(LIMITS.sessions_per_address)]
    Conversation(open_port).hold("S: 421 4\\.7\\.0 Too many connections.*\nCLOSED")
    talks.pop().hold("C: QUIT\nS: 221 .*\nCLOSED")
    time.sleep(0.05)
    conversation(open_port)


def test_sessions_that_ended_under_tls_are_given_back(open_port: int, authority: Authority) -> None:
    for _ in range(LIMITS.sessions_per_address + 5):
        talk = conversation(open_port)
        talk.ca_file = authority.ca_file
        talk.hold("C: STARTTLS\nS: 220 .*\nTLS\nC: QUIT\nS: 221 .*\nCLOSED")
        talk.close()


def test_a_handshake_that_fails_is_given_back(open_port: int) -> None:
    for _ in range(LIMITS.sessions_per_address + 5):
        talk = conversation(open_port)
        talk.hold("C: STARTTLS\nS: 220 .*\nC: this is no handshake")
        with pytest.raises((AssertionError, OSError, UnicodeDecodeError)):
            while True:
                talk.line()
        talk.close()


def test_a_fault_of_ours_is_temporary_for_the_client(
    open_port: int, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    talk = begin_content(open_port)
    talk.send(b"explode\r\n.\r\n")
    talk.expect("451 4.3.0 .*")
    talk.expect_end()


# TLS


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(open_port: int, version: ssl.TLSVersion) -> None:
    talk = conversation(open_port)
    talk.hold("C: STARTTLS\nS: 220 .*")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        context.wrap_socket(talk.socket)


def test_the_tls_of_a_session_is_known_to_the_mailroom(
    open_port: int, ledger: Ledger, authority: Authority
) -> None:
    context = ssl.create_default_context(cafile=authority.ca_file)
    with smtplib.SMTP("localhost", open_port) as client:
        client.starttls(context=context)
        client.sendmail("a@hive.example", ["b@apiary.example"], "Subject: x\n\nHi\n")
    ((envelope, content, known),) = ledger.taken
    assert known.tls_version == "TLSv1.3"
    assert content == b"Subject: x\r\n\r\nHi\r\n"
    assert envelope.recipients == ["b@apiary.example"]


def test_small_packets_are_not_held_back(open_port: int) -> None:
    talk = conversation(open_port)
    talk.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    began = time.monotonic()
    for _ in range(200):
        talk.hold("C: MAIL FROM:<a@hive.example>\nS: 250 .*\nC: RSET\nS: 250 .*")
    # Nagle's algorithm with delayed acknowledgements would take 40 ms each.
    assert time.monotonic() - began < 2
