"""An honest SMTP server for tests, with scripted bad behaviour. Shares no code with ours."""

import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Script:
    """What the server says. A reply may be several lines, joined by newlines, or garbage.

    `hang_up_at` closes the connection at a stage instead of answering: greeting, ehlo, starttls,
    mail, rcpt, data, content (in the middle of it), final (after the dot).
    """

    greeting: str = "220 sink ready"
    offers: tuple[str, ...] = ("PIPELINING", "SIZE 10000000", "8BITMIME", "SMTPUTF8")
    ehlo: str = ""
    starttls: str = "220 go ahead"
    auth: str = "235 2.7.0 welcome"
    mail: str = "250 2.1.0 sender ok"
    recipients: dict[str, str] = field(default_factory=dict)
    data: str = "354 go on"
    final: str = "250 2.0.0 taken"
    hang_up_at: str = ""
    hang_up_after_messages: int = 0
    seconds_per_byte: float = 0.0


@dataclass(frozen=True)
class Received:
    """One message as it arrived, dots removed."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    tls_version: str
    connection: int


_LINE_END = re.compile(rb"\r\n")
# A CR that nothing follows yet may be the half of a CRLF.
_ANY_LINE_END = re.compile(rb"\r\n|\n|\r(?!\n|\Z)")


class HungUp(Exception):
    """The script or the client ended the conversation."""


class SmtpSink:
    """Listens on a loopback port while used as a context manager.

    A lax one ends lines at a lone CR or LF too and overlooks NULs, as the servers that were
    smuggled into did.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        certificate: tuple[str, str] | None = None,
        is_lax: bool = False,
    ) -> None:
        self.script = script or Script()
        self.line_end = _ANY_LINE_END if is_lax else _LINE_END
        self.is_lax = is_lax
        self.messages: list[Received] = []
        self.commands: list[str] = []
        self.connections = 0
        self._tls: ssl.SSLContext | None = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen, daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        # Connecting wakes accept() on every platform; closing alone does not.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        self.hang_up_all()

    def hang_up_all(self) -> None:
        """Cut every open connection, as a restart of the server would."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            session = _Session(self, connection, self.connections)
            threading.Thread(target=session.run, daemon=True).start()


class _Session:
    def __init__(self, sink: SmtpSink, connection: socket.socket, number: int) -> None:
        self.sink = sink
        self.socket = connection
        self.number = number
        self.received = b""
        self.sender: str | None = None
        self.recipients: list[str] = []
        self.count = 0

    @property
    def script(self) -> Script:
        """The script of the moment: a test may change it in mid-conversation."""
        return self.sink.script

    def run(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(20)
        self.sink._open.add(self.socket)
        try:
            self.say("greeting", self.script.greeting)
            while self.answer(self.line()):
                pass
        except (HungUp, OSError):
            pass
        finally:
            self.sink._open.discard(self.socket)
            self.socket.close()

    def answer(self, line: str) -> bool:
        self.sink.commands.append(line)
        verb, _, argument = line.partition(" ")
        match verb.upper():
            case "EHLO" | "HELO":
                self.say("ehlo", self.script.ehlo or self.offers(verb.upper()))
            case "STARTTLS":
                self.start_tls()
            case "AUTH":
                self.say("auth", self.script.auth)
            case "MAIL":
                answer = self.script.mail
                if answer.startswith("2"):
                    self.sender = argument.partition("<")[2].partition(">")[0]
                self.say("mail", answer)
            case "RCPT":
                self.recipient(argument.partition("<")[2].partition(">")[0])
            case "DATA":
                self.data()
            case "RSET":
                self.forget()
                self.say("rset", "250 2.0.0 forgotten")
            case "QUIT":
                self.say("quit", "221 2.0.0 bye")
                return False
            case _:
                self.say("unknown", "500 5.5.1 what?")
        return True

    def offers(self, verb: str) -> str:
        if verb == "HELO":
            return "250 sink"
        offers = ["sink", *self.script.offers]
        if self.sink._tls and not isinstance(self.socket, ssl.SSLSocket):
            offers.append("STARTTLS")
        lines = [f"250-{offer}" for offer in offers[:-1]]
        return "\n".join([*lines, f"250 {offers[-1]}"])

    def start_tls(self) -> None:
        assert self.sink._tls
        answer = self.script.starttls
        self.say("starttls", answer)
        if answer.startswith("2"):
            self.sink._open.discard(self.socket)
            self.socket = self.sink._tls.wrap_socket(self.socket, server_side=True)
            self.sink._open.add(self.socket)

    def recipient(self, address: str) -> None:
        reply = self.script.recipients.get(address, "250 2.1.5 recipient ok")
        if self.sender is None:
            reply = "503 5.5.1 no sender"
        if reply.startswith("2"):
            self.recipients.append(address)
        self.say("rcpt", reply)

    def data(self) -> None:
        if self.sender is None or not self.recipients:
            self.say("data", "503 5.5.1 no recipients")
            return
        # The test may change the script as soon as the client has its answer.
        answer, breaks_off = self.script.data, self.script.hang_up_at == "content"
        self.say("data", answer)
        if not answer.startswith("354"):
            return
        if breaks_off:
            self.reset()
        self.take(self.content())

    def take(self, content: bytes) -> None:
        assert self.sender is not None
        answer, quits_after = self.script.final, self.script.hang_up_after_messages
        if self.script.hang_up_at == "final-unseen":
            self.reset()
        is_secure = isinstance(self.socket, ssl.SSLSocket)
        version = (self.socket.version() or "") if is_secure else ""  # type: ignore[attr-defined]
        if answer.startswith("2"):
            self.sink.messages.append(
                Received(self.sender, tuple(self.recipients), content, version, self.number)
            )
        self.forget()
        self.count += 1
        self.say("final", answer)
        if self.count == quits_after:
            raise HungUp

    def forget(self) -> None:
        self.sender = None
        self.recipients = []

    def content(self) -> bytes:
        lines = []
        while (line := self.raw_line()) != b".\r\n":
            lines.append(line.removeprefix(b"."))
        return b"".join(lines)

    def say(self, stage: str, reply: str) -> None:
        if self.script.hang_up_at == stage:
            self.reset()
        data = reply.replace("\n", "\r\n").encode() + b"\r\n"
        if not self.script.seconds_per_byte:
            self.socket.sendall(data)
            return
        for octet in data:
            time.sleep(self.script.seconds_per_byte)
            self.socket.sendall(bytes([octet]))

    def reset(self) -> None:
        """Ends with RST, so that what was under way is gone."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise HungUp

    def line(self) -> str:
        return self.raw_line().decode().removesuffix("\r\n")

    def raw_line(self) -> bytes:
        while not (end := self.sink.line_end.search(self.received)):
            chunk = self.socket.recv(65_536)
            if not chunk:
                raise HungUp
            self.received += chunk.replace(b"\0", b"") if self.sink.is_lax else chunk
        line, self.received = self.received[: end.start()], self.received[end.end() :]
        return line + b"\r\n"


@contextmanager
def closed_port() -> Iterator[int]:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    yield port
