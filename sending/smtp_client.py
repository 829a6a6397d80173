"""One SMTP connection to another server, with pipelining. Knows no pool, no route order, no state.

Everything that a stranger can stretch is bounded: the size of a reply by `replies`, the time of
every step and of the whole by deadlines, so that one byte every ten seconds does not hold us.
"""

import base64
import select
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sending import replies
from sending.deadlines import Deadline
from sending.replies import Capabilities, GarbledReply, SmtpReply, Verdict
from sending.routes import Route, Tls

REPLY_SECONDS = 30.0
# RFC 5321 4.5.3.2.6 allows ten minutes after the dot; the lease of a recipient is shorter.
FINAL_REPLY_SECONDS = 60.0
GOODBYE_SECONDS = 1.0
RECIPIENTS_AT_ONCE = 100
CHUNK = 65_536


class ConnectionBroken(Exception):
    """The connection failed, timed out or spoke nonsense before the message was complete."""


class TlsFailed(ConnectionBroken):
    """The server offers no TLS, or its certificate does not prove its name."""


class Refused(Exception):
    """The server refuses to talk to us at all: at the greeting, EHLO, STARTTLS or AUTH."""

    def __init__(self, stage: str, reply: SmtpReply) -> None:
        super().__init__(f"{stage} was answered {reply.code} {reply.enhanced} {reply.text}")
        self.stage = stage
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Envelope:
    return_path: str
    recipients: Sequence[str]
    smtputf8: bool = False


@dataclass(frozen=True, slots=True)
class Answers:
    """The reply to each recipient, then to the content, if any recipient was accepted.

    `doubt` says why nobody knows whether the content was taken: the connection failed after the
    final dot.
    """

    recipients: Sequence[SmtpReply]
    content: SmtpReply | None = None
    doubt: str = ""


@lru_cache(maxsize=32)
def tls_context(tls: Tls, ca_file: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls in (Tls.OPPORTUNISTIC, Tls.REQUIRED):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Connection:
    """An open, greeted, secured and authenticated SMTP session."""

    def __init__(self, route: Route, sock: socket.socket) -> None:
        self.route = route
        self.socket = sock
        self.received = bytearray()
        self.offers = Capabilities()
        self.connect_seconds = 0.0
        self.is_in_transaction = False
        self.idle_since = 0.0

    @property
    def tls_version(self) -> str:
        return (self.socket.version() or "") if isinstance(self.socket, ssl.SSLSocket) else ""

    @property
    def tls_cipher(self) -> str:
        cipher = self.socket.cipher() if isinstance(self.socket, ssl.SSLSocket) else None
        return cipher[0] if cipher else ""

    def greet(self, ehlo_name: str, deadline: Deadline, *, starttls: bool) -> None:
        """From the first byte to the last EHLO, and the log-in."""
        if self.route.tls is Tls.IMPLICIT:
            self._secure(deadline)
        greeting = self._reply(deadline.step(REPLY_SECONDS))
        if greeting.verdict is not Verdict.DONE:
            raise Refused("The connection", greeting)
        self._ehlo(ehlo_name, deadline)
        if starttls:
            self._starttls(ehlo_name, deadline)
        self._log_in(deadline)

    def deliver(self, envelope: Envelope, message: bytes, deadline: Deadline) -> Answers:
        """Raises ConnectionBroken when nothing was delivered to anybody."""
        try:
            recipients, data = self._envelope(envelope, message, deadline)
            if not any(reply.verdict is Verdict.DONE for reply in recipients):
                self._withdraw(data, deadline)
                return Answers(recipients)
            if data.verdict is not Verdict.GO_ON:
                return Answers(recipients, _refusal(data))
            self._send(_stuffed(message), deadline)
        except (OSError, GarbledReply) as problem:
            raise ConnectionBroken(str(problem)) from problem
        return self._finish(recipients, deadline)

    def is_stale(self) -> bool:
        """Whether an idle connection has something to read: an end of file or a farewell."""
        try:
            readable, _, _ = select.select([self.socket], [], [], 0)
        except (OSError, ValueError):
            return True
        return bool(readable)

    def close(self) -> None:
        try:
            self.socket.settimeout(GOODBYE_SECONDS)
            self.socket.sendall(b"QUIT\r\n")
        except OSError:
            pass
        finally:
            self.socket.close()

    # The steps of greeting

    def _ehlo(self, ehlo_name: str, deadline: Deadline) -> None:
        reply = self._ask(f"EHLO {ehlo_name}", deadline)
        self.offers = replies.capabilities(reply)
        if reply.verdict is Verdict.PERMANENT:
            reply = self._ask(f"HELO {ehlo_name}", deadline)
            self.offers = Capabilities()
        if reply.verdict is not Verdict.DONE:
            raise Refused("EHLO", reply)

    def _starttls(self, ehlo_name: str, deadline: Deadline) -> None:
        if not self.offers.starttls:
            if self.route.tls is not Tls.OPPORTUNISTIC:
                raise TlsFailed(f"{self.route.host} does not offer STARTTLS.")
            return
        reply = self._ask("STARTTLS", deadline)
        if reply.verdict is not Verdict.DONE:
            raise TlsFailed(f"{self.route.host} answered STARTTLS with {reply.code}.")
        if self.received:
            # Plaintext after the 220 was put there by somebody else (CVE-2011-0411 turned round).
            raise TlsFailed(f"{self.route.host} sent plaintext after STARTTLS.")
        self._secure(deadline)
        self._ehlo(ehlo_name, deadline)

    def _secure(self, deadline: Deadline) -> None:
        context = tls_context(self.route.tls, self.route.ca_file)
        try:
            self.socket.settimeout(deadline.step(REPLY_SECONDS).remaining())
            self.socket = context.wrap_socket(self.socket, server_hostname=self.route.host)
        except (OSError, ValueError) as problem:
            raise TlsFailed(f"TLS with {self.route.host} failed: {problem}") from problem

    def _log_in(self, deadline: Deadline) -> None:
        login = self.route.login
        if login is None:
            return
        if not self.tls_version:
            raise TlsFailed(f"{self.route.host} offers no TLS to log in under.")
        secret = base64.b64encode(f"\0{login.user}\0{login.password}".encode()).decode()
        reply = self._ask(f"AUTH PLAIN {secret}", deadline)
        if reply.verdict is not Verdict.DONE:
            raise Refused("AUTH", reply)

    # The steps of a delivery

    def _envelope(
        self, envelope: Envelope, message: bytes, deadline: Deadline
    ) -> tuple[list[SmtpReply], SmtpReply]:
        """The reply to each recipient, and to DATA or whatever made DATA pointless."""
        if self.is_in_transaction:
            self._ask("RSET", deadline)
        self.is_in_transaction = True
        mail = self._mail_command(envelope, message)
        recipients = [f"RCPT TO:<{recipient}>" for recipient in envelope.recipients]
        if self.offers.pipelining and len(recipients) <= RECIPIENTS_AT_ONCE:
            sender, *got, data = self._ask_all([mail, *recipients, "DATA"], deadline)
            return (got if sender.verdict is Verdict.DONE else [sender] * len(got)), data
        sender = self._ask(mail, deadline)
        if sender.verdict is not Verdict.DONE:
            return [sender] * len(recipients), sender
        got = self._recipients(recipients, deadline)
        is_wanted = any(reply.verdict is Verdict.DONE for reply in got)
        return got, self._ask("DATA", deadline) if is_wanted else got[-1]

    def _recipients(self, commands: list[str], deadline: Deadline) -> list[SmtpReply]:
        at_once = RECIPIENTS_AT_ONCE if self.offers.pipelining else 1
        got: list[SmtpReply] = []
        for start in range(0, len(commands), at_once):
            got += self._ask_all(commands[start : start + at_once], deadline)
        return got

    def _mail_command(self, envelope: Envelope, message: bytes) -> str:
        command = f"MAIL FROM:<{envelope.return_path}>"
        if self.offers.size_limit is not None:
            command += f" SIZE={len(message)}"
        if self.offers.eight_bit and not message.isascii():
            command += " BODY=8BITMIME"
        if envelope.smtputf8:
            command += " SMTPUTF8"
        return command

    def _withdraw(self, data: SmtpReply, deadline: Deadline) -> None:
        """No recipient is left. A server that says 354 all the same gets an empty message
        (RFC 2920 3.1) and must refuse it; the recipients have their answers already."""
        if data.verdict is Verdict.GO_ON:
            self._send(b".\r\n", deadline)
            self._reply(deadline.step(FINAL_REPLY_SECONDS))

    def _finish(self, recipients: list[SmtpReply], deadline: Deadline) -> Answers:
        try:
            self._send(b".\r\n", deadline)
            reply = self._reply(deadline.step(FINAL_REPLY_SECONDS))
        except (OSError, GarbledReply) as problem:
            return Answers(recipients, doubt=f"The connection failed after the content: {problem}")
        if reply.verdict is Verdict.GO_ON:
            return Answers(recipients, doubt=f"The content was answered with {reply.code}.")
        self.is_in_transaction = False
        return Answers(recipients, reply)

    # Bytes

    def _ask(self, command: str, deadline: Deadline) -> SmtpReply:
        return self._ask_all([command], deadline)[0]

    def _ask_all(self, commands: list[str], deadline: Deadline) -> list[SmtpReply]:
        if any("\r" in command or "\n" in command for command in commands):
            raise ValueError("A command is one line.")
        self._send("".join(f"{command}\r\n" for command in commands).encode(), deadline)
        return [self._answer(deadline) for _ in commands]

    def _answer(self, deadline: Deadline) -> SmtpReply:
        reply = self._reply(deadline.step(REPLY_SECONDS))
        if reply.code == 421:
            raise ConnectionResetError(f"The remote server hung up: {reply.text}")
        return reply

    def _send(self, data: bytes, deadline: Deadline) -> None:
        self.socket.settimeout(deadline.remaining())
        self.socket.sendall(data)

    def _reply(self, deadline: Deadline) -> SmtpReply:
        while True:
            reply = replies.take(self.received)
            if reply is not None:
                return reply
            self.socket.settimeout(deadline.remaining())
            chunk = self.socket.recv(CHUNK)
            if not chunk:
                raise ConnectionResetError("The remote server closed the connection.")
            self.received += chunk


def _refusal(data: SmtpReply) -> SmtpReply:
    """A 2xx to DATA is neither permission nor refusal: nothing was delivered."""
    if data.verdict is Verdict.DONE:
        raise GarbledReply(f"DATA was answered with {data.code}.")
    return data


def _stuffed(message: bytes) -> bytes:
    """Dot-stuffed (RFC 5321 4.5.2) and complete, without the final dot."""
    if message.startswith(b"."):
        message = b"." + message
    message = message.replace(b"\r\n.", b"\r\n..")
    return message if message.endswith(b"\r\n") else message + b"\r\n"
