"""Threats M2, M12 and M14: smuggling through us, weak TLS, and a client that dies too early."""

import base64
import random
import re
import shutil
import socket
import struct
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from queensmtp.tenancy import tenant
from sending import actions, smtp_server, transports
from sending.mailrooms import Limits, Port
from sending.models import Message
from sending.routes import Route
from sending.submission_port import SubmissionMailroom
from tests.certificates import Authority
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import make_key
from tests.roles import as_role
from tests.sending.conversations import Conversation, close_all
from tests.sending.deliveries import To
from tests.sending.running import running, submitting
from tests.smtp_sink import SmtpSink


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
def door() -> Iterator[int]:
    """Our submission port, without the TLS that would only make it slower."""
    with submitting(Port("localhost", Limits(100_000))) as number:
        yield number


@pytest.fixture
def token(cast: Cast) -> str:
    make_domain(cast.hive, "good.example")
    return make_key(cast.hive)[1]


def logged_in(door: int, token: str) -> Conversation:
    talk = Conversation(door)
    secret = base64.b64encode(f"\0queensmtp\0{token}".encode()).decode()
    talk.hold(f"S: 220 .*\nC: HELO client.example\nS: 250 .*\nC: AUTH PLAIN {secret}\nS: 235 .*")
    return talk


def begin(talk: Conversation, *recipients: str) -> None:
    talk.hold("C: MAIL FROM:<alice@good.example>\nS: 250 .*")
    for recipient in recipients:
        talk.hold(f"C: RCPT TO:<{recipient}>\nS: 250 .*")
    talk.hold("C: DATA\nS: 354 .*")


# M2

PIECES = (
    *(b"\r\n", b"\n", b"\r", b".", b"..", b"\0", b"\r\n.\n", b"\n.\r\n", b"\n.\n", b"\r.\r"),
    *(b"\r\n\0.\r\n", b"\r\n..\r\n", b"\r\n. \r\n", b"\xe2\x80\xa8.\xe2\x80\xa8", b"\x85.\x85"),
    *(b"\x0b.\x0b", b"\x0c", b" ", b"x" * 990, b"\r\n.\r\n"),
)
HARMLESS = (b"\r\n", b".", b"\r\n..\r\n", b"\r\n. \r\n", b"x" * 990, b" ", b"\r\n.x\r\n")
SMUGGLED = (
    b"MAIL FROM:<evil@good.example>\r\nRCPT TO:<evil@lax.example>\r\nDATA\r\n"
    b"From: evil@good.example\r\nSubject: mail-evil\r\n\r\nevil\r\n"
)


def mutated(chance: random.Random, pieces: tuple[bytes, ...]) -> bytes:
    body = bytearray(b"Hello\r\n" + SMUGGLED)
    for _ in range(chance.randint(1, 6)):
        at = chance.choice([7, chance.randint(0, len(body))])
        body[at:at] = chance.choice(pieces)
    return bytes(body)


def submission(number: int) -> bytes:
    """A message as it is on the wire. Two of three hide the mutation in an encoding, where the
    door does not see it; a third of the rest holds only what the door lets pass."""
    chance = random.Random(number)
    encoding = chance.choice(["base64", "quoted-printable", "8bit"])
    body = mutated(chance, PIECES if encoding != "8bit" or number % 3 else HARMLESS)
    if encoding == "base64":
        body = base64.encodebytes(body).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        body = b"=\r\n".join(
            b"".join(b"=%02X" % one for one in body[at : at + 24]) for at in range(0, len(body), 24)
        )
    else:
        # A true end of data would make it two submissions.
        body = re.sub(rb"(?<=\r\n)\.(?=\r\n)", b"..", body)
    kind = chance.choice(["text/plain; charset=utf-8", "text/html", "application/octet-stream"])
    return (
        (
            f"From: alice@good.example\r\nTo: ann@lax.example\r\nSubject: mail-{number}\r\n"
            f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
        ).encode()
        + body
        + b"\r\n.\r\n"
    )


def submit_all(door: int, token: str, count: int) -> list[int]:
    """The numbers of those that were accepted."""
    accepted = []
    talk = logged_in(door, token)
    for number in range(count):
        begin(talk, "ann@lax.example", "ann@strict.example")
        talk.send(submission(number))
        reply = talk.line()
        if reply.startswith("250 "):
            accepted.append(number)
        else:
            assert reply.startswith("554 "), reply
            talk.close()
            talk = logged_in(door, token)
    return accepted


class ByDomain:
    """A transport that leads each of two domains to a server of its own."""

    def __init__(self, lax: SmtpSink, strict: SmtpSink) -> None:
        self._ways = {"lax.example": To(lax.port), "strict.example": To(strict.port)}

    def routes(self, domain: str) -> tuple[Route, ...]:
        return self._ways[domain].routes(domain)


def numbers_of(sink: SmtpSink) -> Counter[bytes]:
    return Counter(
        number
        for one in sink.messages
        for number in re.findall(
            rb"(?m)^Subject: mail-(\w+)", one.content.partition(b"\r\n\r\n")[0]
        )
    )


@pytest.mark.django_db(transaction=True)
def test_each_submission_is_one_message_to_the_strict_and_to_the_lax(
    door: int, cast: Cast, token: str, sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 300
    with SmtpSink(is_lax=True) as lax:
        monkeypatch.setattr(transports, "configured", lambda: ByDomain(lax, sink))
        accepted = submit_all(door, token, count)
        with as_role("worker"):
            actions.deliver_due()

    assert count // 2 < len(accepted) < count
    once = Counter(str(number).encode() for number in accepted)
    for each in (sink, lax):
        assert numbers_of(each) == once
        assert len(each.messages) == len(accepted)
        assert [line for line in each.commands if "evil@" in line] == []


@pytest.mark.parametrize("end", ["\n.\n", "\r.\r", "\n.\r\n", "\r\n.\n", "\r\n\0.\r\n"])
def test_the_lax_server_of_these_tests_can_be_smuggled_into(end: str) -> None:
    begin_one = "MAIL FROM:<a@good.example>\r\nRCPT TO:<ann@lax.example>\r\nDATA\r\n"
    data = f"{begin_one}one{end}{begin_one}two\r\n.\r\nQUIT\r\n".encode()
    counts = []
    for is_lax in (False, True):
        with SmtpSink(is_lax=is_lax) as server:
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as client:
                client.sendall(data)
                while client.recv(4_096):
                    pass
            counts.append(len(server.messages))
    assert counts == [1, 2]


# M14


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("header", "count"), [("Resend-Idempotency-Key: a-17\r\n", 1), ("", 2)])
def test_a_client_that_died_after_the_dot_sends_again(
    door: int, cast: Cast, token: str, header: str, count: int
) -> None:
    content = f"{header}From: alice@good.example\r\nSubject: Hello\r\n\r\nHi\r\n.\r\n".encode()
    dying = logged_in(door, token)
    begin(dying, "ann@wasp.example")
    dying.send(content)
    dying.close()
    (first,) = wait_for_message(cast)

    again = logged_in(door, token)
    begin(again, "ann@wasp.example")
    again.send(content)
    reply = again.expect("250 2.0.0 Accepted as .*")

    messages = messages_of(cast)
    assert len(messages) == count
    assert reply.endswith(str(first.pk)) == (count == 1)


def wait_for_message(cast: Cast) -> list[Message]:
    ends_at = time.monotonic() + 5
    while not (found := messages_of(cast)) and time.monotonic() < ends_at:
        time.sleep(0.02)
    return found


def messages_of(cast: Cast) -> list[Message]:
    with tenant(cast.hive.pk):
        return list(Message.objects.order_by("created_at"))


# M12

GOOD_SUITE = 0xC02B  # ECDHE-ECDSA-AES128-GCM-SHA256
WEAK_SUITES = {
    "RC4": (0x0004, 0x0005, 0xC007, 0xC011),
    "3DES": (0x000A, 0x0016, 0xC008, 0xC012),
    "NULL": (0x0001, 0x0002, 0x003B, 0xC006, 0xC010),
    "export": (0x0003, 0x0006, 0x0008, 0x0014, 0x0062, 0x0064),
    "anonymous": (0x0018, 0x0034, 0x006C, 0xC018, 0xC019),
    "SHA-1": (0x002F, 0x0035, 0xC009, 0xC00A, 0xC013),
    "CBC": (0x003C, 0x003D, 0xC023, 0xC024, 0xC072, 0xC073),
}
HANDSHAKE, ALERT = b"\x16", b"\x15"


@pytest.fixture(scope="module")
def tls_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    authority = Authority(tmp_path_factory.mktemp("ca"))
    tls = smtp_server.tls_context(*authority.issue("localhost"))
    port = Port("localhost", Limits(1_000), tls=tls, is_implicit_tls=True)
    with ThreadPoolExecutor(1) as executor, running(port, SubmissionMailroom(executor)) as number:
        yield number


def hello(*suites: int, compressions: bytes = b"\0") -> bytes:
    """A ClientHello of TLS 1.2, by hand: no library of today offers what it offers."""
    extensions = b"".join(
        struct.pack("!HH", kind, len(data)) + data
        for kind, data in (
            (10, b"\0\4\0\x1d\0\x17"),  # Groups: X25519, P-256.
            (11, b"\1\0"),
            (13, b"\0\2\4\3"),  # Signatures: ECDSA with SHA-256.
            (0xFF01, b"\0"),
        )
    )
    offered = b"".join(struct.pack("!H", suite) for suite in suites)
    body = b"\3\3" + bytes(32) + b"\0" + struct.pack("!H", len(offered)) + offered
    body += bytes([len(compressions)]) + compressions
    body += struct.pack("!H", len(extensions)) + extensions
    handshake = b"\1" + struct.pack("!I", len(body))[1:] + body
    return b"\x16\3\1" + struct.pack("!H", len(handshake)) + handshake


def answer(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(data)
        return client.recv(4_096)


@pytest.mark.parametrize("suites", WEAK_SUITES.values(), ids=WEAK_SUITES)
def test_a_weak_cipher_is_refused(tls_port: int, suites: tuple[int, ...]) -> None:
    # The listener may hang up without a word instead of an alert.
    assert answer(tls_port, hello(*suites))[:1] in (b"", ALERT)
    assert answer(tls_port, hello(*suites, GOOD_SUITE))[:1] == HANDSHAKE


def test_the_compression_of_tls_is_declined(tls_port: int) -> None:
    reply = answer(tls_port, hello(GOOD_SUITE, compressions=b"\1\0"))
    session_end = 44 + reply[43]
    suite, compression = struct.unpack("!HB", reply[session_end : session_end + 3])
    assert (suite, compression) == (GOOD_SUITE, 0)


def test_renegotiation_is_declined(tls_port: int) -> None:
    # Nothing else that is at hand can ask for it.
    assert shutil.which("openssl"), "Install it with: apt-get install openssl"
    command = ["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{tls_port}"]
    client = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    with client:
        time.sleep(0.5)
        said, _ = client.communicate(b"R\n", timeout=10)
    assert b"220 localhost" in said
    assert b"RENEGOTIATING" in said
    assert b"no renegotiation" in said
