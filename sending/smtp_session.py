"""The server side of SMTP for every port of ours: lines in, replies out, everything bounded.

It knows the protocol and no policy. Who may log in, which recipients are taken and what becomes
of a message, it asks its Mailroom. Line ends are CRLF or the connection ends: a bare CR or LF is
how one message is smuggled inside another.

aiosmtpd is not used: it answers 250 to every smuggling form, offers no PIPELINING, and does
about a tenth of the messages a second.
"""

import asyncio
import base64
import binascii
import re
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, cast

from sending.mailrooms import Client, Envelope, LoggedIn, Mailroom, Port
from sending.smtp_content import Content

COMMAND_LIMIT = 2_048
# RFC 4954 4: a line of an AUTH exchange may be longer than a command.
AUTH_LINE_LIMIT = 12_288
ERRORS_LIMIT = 20
# Commands that lead nowhere, between two messages.
IDLE_COMMANDS_LIMIT = 500
# Senders and recipients that the mailroom does not take, between two messages that it takes.
REFUSALS_LIMIT = 200
LOGIN_FAILURES_LIMIT = 3
HANDSHAKE_SECONDS = 10.0
GOODBYE_SECONDS = 5.0
SHUTTING_DOWN = "421 4.3.2 Shutting down; try again later"

_HELO_NAME = re.compile(r"[A-Za-z0-9.:_\[\]-]{1,255}")
_PATH = re.compile(r"(FROM|TO):[ ]?<([^<>\s\x00-\x1f\x7f]*)>(?: (.*))?", re.IGNORECASE)
_BEFORE_TLS = frozenset({"EHLO", "HELO", "STARTTLS", "NOOP", "QUIT"})
_BEFORE_LOGIN = _BEFORE_TLS | {"AUTH", "RSET"}
_IDLE = frozenset({"EHLO", "HELO", "NOOP", "RSET", "VRFY"})
_NOT_IMPLEMENTED = frozenset({"EXPN", "TURN", "ETRN", "HELP", "XCLIENT", "XFORWARD", "BDAT"})


class Registry(Protocol):
    """Who keeps count of the sessions of a port."""

    def admits(self, address: str) -> bool: ...

    def enter(self, session: "Session") -> None: ...

    def leave(self, session: "Session") -> None: ...


class Session(asyncio.Protocol):
    """One connection. Bytes are taken in `data_received`; a mailroom's answer is awaited in a
    task, during which reading pauses."""

    def __init__(self, port: Port, mailroom: Mailroom, doorkeeper: Registry) -> None:
        self.port = port
        self.mailroom = mailroom
        self.doorkeeper = doorkeeper
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport
        self.client = Client("")
        self.is_over = False
        self.is_unread = False
        self.is_dismissed = False
        self.buffer = bytearray()
        self.content: Content | None = None
        self.envelope: Envelope | None = None
        self.next_line: Callable[[str], None] | None = None
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.error_count = 0
        self.idle_command_count = 0
        self.refusal_count = 0
        self.login_failures = 0

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer = self.transport.get_extra_info("peername")
        self.client = Client(peer[0] if peer else "")
        if not self.doorkeeper.admits(self.client.address):
            self._end("421 4.7.0 Too many connections; try again later")
            return
        self.doorkeeper.enter(self)
        self._note_tls()
        self._wait(self.port.limits.idle_seconds)
        self._say(f"220 {self.port.name} ESMTP")

    def connection_lost(self, problem: Exception | None) -> None:
        self.is_over = True
        self._wait(None)
        self.doorkeeper.leave(self)

    def dismiss(self) -> None:
        """Take no more; what a mailroom is just taking is still answered."""
        self.is_dismissed = True
        if not self.task:
            self._end(SHUTTING_DOWN)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._work()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        """The client sends commands and reads no replies: its turn to wait, or to time out."""
        self.is_unread = True
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.is_unread = False
        if not self.task and not self.is_over:
            self.transport.resume_reading()
            self._work()

    def _work(self) -> None:
        """Take whatever is complete, until a mailroom must be asked or nothing is left."""
        while not (self.is_over or self.is_unread or self.task):
            is_progress = self._take_content() if self.content else self._take_line()
            if not is_progress:
                break

    def _take_line(self) -> bool:
        end = self.buffer.find(b"\n")
        limit = AUTH_LINE_LIMIT if self.next_line else COMMAND_LIMIT
        if (end if end >= 0 else len(self.buffer)) > limit:
            self._end("500 5.5.2 Line too long")
            return False
        if end < 0:
            return False
        line = bytes(self.buffer[: end + 1])
        del self.buffer[: end + 1]
        if not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\0" in line:
            self._end("500 5.5.2 Lines end in CRLF and hold no CR, LF or NUL")
            return False
        self._wait(self.port.limits.idle_seconds)
        try:
            text = line[:-2].decode("utf-8")
        except UnicodeDecodeError:
            self._fault("500 5.5.2 A command is UTF-8")
            return True
        if self.next_line:
            answer, self.next_line = self.next_line, None
            answer(text)
        else:
            self._command(text)
        return True

    # Commands

    def _command(self, line: str) -> None:
        verb, _, argument = line.partition(" ")
        verb = verb.upper()
        handler: Callable[[str], None] | None = getattr(self, f"_on_{verb.lower()}", None)
        if verb in _NOT_IMPLEMENTED:
            self._fault("502 5.5.1 Not implemented")
        elif handler is None or not verb.isalpha():
            self._fault("500 5.5.1 What?")
        elif refusal := self._too_early(verb):
            self._fault(refusal)
        elif verb in _IDLE and self._is_idling():
            self._end("421 4.7.0 Too many commands without a message")
        else:
            handler(argument)

    def _is_idling(self) -> bool:
        self.idle_command_count += 1
        return self.idle_command_count > IDLE_COMMANDS_LIMIT

    def _too_early(self, verb: str) -> str | None:
        if self.port.needs_tls and not self.client.tls_version and verb not in _BEFORE_TLS:
            if verb == "AUTH":
                return "538 5.7.11 Encryption required: STARTTLS first"
            return "530 5.7.0 STARTTLS first"
        if self.mailroom.needs_login and not self.client.login and verb not in _BEFORE_LOGIN:
            return "530 5.7.0 Authentication required"
        if not self.client.helo and verb in {"MAIL", "RCPT", "DATA", "AUTH", "STARTTLS"}:
            return "503 5.5.1 EHLO first"
        return None

    def _on_ehlo(self, name: str) -> None:
        if not self._greeted(name):
            return
        offers = [self.port.name, "PIPELINING", f"SIZE {self.port.limits.message_bytes}"]
        offers += ["8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"]
        if self.port.tls and not self.client.tls_version:
            offers.append("STARTTLS")
        if self.mailroom.needs_login and self.client.tls_version:
            offers.append("AUTH PLAIN LOGIN")
        self._say(*(f"250-{offer}" for offer in offers[:-1]), f"250 {offers[-1]}")

    def _on_helo(self, name: str) -> None:
        if self._greeted(name):
            self._say(f"250 {self.port.name}")

    def _greeted(self, name: str) -> bool:
        if not _HELO_NAME.fullmatch(name):
            self._fault("501 5.5.4 That is no host name")
            return False
        self.client.helo, self.envelope = name, None
        return True

    def _on_noop(self, _: str) -> None:
        self._say("250 2.0.0 Ok")

    def _on_rset(self, _: str) -> None:
        self.envelope = None
        self._say("250 2.0.0 Forgotten")

    def _on_vrfy(self, _: str) -> None:
        self._say("252 2.1.5 Send and see")

    def _on_quit(self, _: str) -> None:
        self._end("221 2.0.0 Bye")

    def _on_starttls(self, argument: str) -> None:
        if argument:
            self._fault("501 5.5.4 STARTTLS takes no argument")
        elif self.client.tls_version or not self.port.tls:
            self._fault("503 5.5.1 No STARTTLS here")
        elif self.buffer:
            # Somebody put commands behind it in plaintext, to be taken under TLS (RFC 3207 5).
            self._end("554 5.5.0 Nothing may follow STARTTLS before TLS")
        else:
            self._say("220 2.0.0 Go ahead")
            self._await(self._start_tls(self.port.tls))

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        try:
            transport = await self.loop.start_tls(
                self.transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
            )
        except OSError:
            self._hang_up()
            return
        if transport is None:  # The client left while the handshake was under way.
            return
        # RFC 3207 4.2: everything learned before TLS is forgotten.
        self.transport, self.client = transport, Client(self.client.address)
        self.envelope = None
        self._note_tls()

    def _on_mail(self, argument: str) -> None:
        path = _PATH.fullmatch(argument)
        if self.envelope:
            self._fault("503 5.5.1 One message at a time; RSET forgets it")
        elif not path or path[1].upper() != "FROM":
            self._fault("501 5.1.7 Write MAIL FROM:<address>")
        else:
            envelope = Envelope(path[2])
            refusal = self._read_parameters(path[3] or "", envelope)
            if refusal:
                self._fault(refusal)
            elif not envelope.sender.isascii() and not envelope.smtputf8:
                self._fault("553 5.6.7 That address needs SMTPUTF8")
            else:
                self._await(self._mail(envelope))

    async def _mail(self, envelope: Envelope) -> None:
        refusal = await self.mailroom.refuse_sender(envelope, self.client)
        if refusal:
            self._refuse(refusal)
        else:
            self.envelope = envelope
            self._say("250 2.1.0 Ok")

    def _read_parameters(self, text: str, envelope: Envelope) -> str | None:
        for parameter in text.split():
            name, _, value = parameter.upper().partition("=")
            if name == "SIZE" and value.isascii() and value.isdigit():
                if len(value) > 15 or int(value) > self.port.limits.message_bytes:
                    return self._too_large()
            elif name == "SMTPUTF8" and not value:
                envelope.smtputf8 = True
            elif (name, value) not in {("BODY", "7BIT"), ("BODY", "8BITMIME"), ("AUTH", "<>")}:
                return "555 5.5.4 Unknown parameter"
        return None

    def _on_rcpt(self, argument: str) -> None:
        path = _PATH.fullmatch(argument)
        if not self.envelope:
            self._fault("503 5.5.1 MAIL first")
        elif not path or path[1].upper() != "TO" or path[3]:
            self._fault("501 5.1.3 Write RCPT TO:<address>")
        elif not path[2].isascii() and not self.envelope.smtputf8:
            self._fault("553 5.6.7 That address needs SMTPUTF8")
        elif len(self.envelope.recipients) >= self.port.limits.recipients:
            self._say("452 4.5.3 Too many recipients; send the rest in another message")
        else:
            self._await(self._rcpt(path[2], self.envelope))

    async def _rcpt(self, address: str, envelope: Envelope) -> None:
        refusal = await self.mailroom.refuse_recipient(address, envelope, self.client)
        if refusal:
            self._refuse(refusal)
        else:
            if address not in envelope.recipients:
                envelope.recipients.append(address)
            self._say("250 2.1.5 Ok")

    def _on_data(self, argument: str) -> None:
        if argument:
            self._fault("501 5.5.4 DATA takes no argument")
        elif not self.envelope or not self.envelope.recipients:
            self._fault("503 5.5.1 No valid recipients")
        elif self.buffer:
            self._end("554 5.5.0 Wait for 354 before the content")
        else:
            self.content = Content(self.port.limits.message_bytes)
            self._wait(self.port.limits.content_seconds)
            self._say("354 End with a line that holds only a dot")

    # Content

    def _take_content(self) -> bool:
        assert self.content and self.envelope
        data = bytes(self.buffer)
        self.buffer.clear()
        rest = self.content.feed(data)
        if self.content.is_foul:
            self._end("554 5.6.0 Lines end in CRLF and hold no CR, LF or NUL")
            return False
        if self.content.is_flood:
            self._end(self._too_large())
            return False
        if rest is None:
            return False
        self.buffer += rest
        content, envelope = self.content, self.envelope
        self.content, self.envelope = None, None
        self._wait(None)
        if content.is_too_large:
            self._fault(self._too_large())
        else:
            self._await(self._take(envelope, content.unstuffed()))
        return True

    async def _take(self, envelope: Envelope, content: bytes) -> None:
        self.idle_command_count = 0
        reply = await self.mailroom.take(envelope, content, self.client)
        if reply.startswith("2"):
            self.refusal_count = 0
        self._say(reply)

    def _too_large(self) -> str:
        return f"552 5.3.4 A message has at most {self.port.limits.message_bytes} bytes"

    # Logging in

    def _on_auth(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        if not self.mailroom.needs_login:
            self._fault("502 5.5.1 Nobody logs in here")
        elif self.client.login or self.envelope:
            self._fault("503 5.5.1 Already authenticated")
        elif mechanism.upper() == "PLAIN":
            self._ask("334 ", self._plain, initial)
        elif mechanism.upper() == "LOGIN":
            self._ask("334 VXNlcm5hbWU6", self._login_user, initial)
        else:
            self._fault("504 5.5.4 PLAIN or LOGIN")

    def _ask(self, prompt: str, answer: Callable[[str], None], initial: str = "") -> None:
        if initial:
            answer("" if initial == "=" else initial)
        else:
            self.next_line = answer
            self._say(prompt)

    def _plain(self, encoded: str) -> None:
        parts = (_decoded(encoded) or "").split("\0")
        if encoded == "*":
            self._fault("501 5.7.0 Cancelled")
        elif len(parts) != 3:
            self._fault("501 5.5.2 That is no PLAIN response")
        elif parts[0] not in ("", parts[1]):
            # RFC 4616 2: to act for somebody else is not offered.
            self._await(self._refuse_login("535 5.7.8 No acting for another"))
        else:
            self._await(self._log_in(parts[1], parts[2]))

    def _login_user(self, encoded: str) -> None:
        user = _decoded(encoded)
        if encoded == "*":
            self._fault("501 5.7.0 Cancelled")
        elif user is None:
            self._fault("501 5.5.2 That is no base64")
        else:
            self._ask("334 UGFzc3dvcmQ6", lambda line: self._login_password(user, line))

    def _login_password(self, user: str, encoded: str) -> None:
        password = _decoded(encoded)
        if encoded == "*":
            self._fault("501 5.7.0 Cancelled")
        elif password is None:
            self._fault("501 5.5.2 That is no base64")
        else:
            self._await(self._log_in(user, password))

    async def _log_in(self, user: str, password: str) -> None:
        answer = await self.mailroom.log_in(user, password, self.client)
        if isinstance(answer, LoggedIn):
            self.client.login = answer.login
            self._say("235 2.7.0 Welcome")
        else:
            await self._refuse_login(answer)

    async def _refuse_login(self, reply: str) -> None:
        self.login_failures += 1
        self._say(reply)
        if self.login_failures >= LOGIN_FAILURES_LIMIT:
            self._end("421 4.7.0 Too many failures")

    # Replies, time, tasks

    def _say(self, *lines: str) -> None:
        if not self.is_over:
            self.transport.write("".join(f"{line}\r\n" for line in lines).encode())

    def _fault(self, reply: str) -> None:
        """A reply to something that an honest client does seldom."""
        self.error_count += 1
        if self.error_count > ERRORS_LIMIT:
            self._end("421 4.7.0 Too many errors")
        else:
            self._say(reply)

    def _refuse(self, reply: str) -> None:
        """The mailroom's refusal, which an honest list of recipients may bring now and then."""
        self.refusal_count += 1
        if self.refusal_count > REFUSALS_LIMIT:
            self._end("421 4.7.0 Too much that is not taken")
        else:
            self._say(reply)

    def _end(self, reply: str) -> None:
        self._say(reply)
        self._hang_up()

    def _hang_up(self) -> None:
        if not self.is_over:
            self.is_over = True
            self.buffer.clear()
            self.transport.close()
            # A client that reads nothing would keep what is left to be written for ever.
            self._wait(None)
            self.timer = self.loop.call_later(GOODBYE_SECONDS, self.transport.abort)

    def _wait(self, seconds: float | None) -> None:
        """Hang up unless the client comes on in this time; None while it waits for us."""
        if self.timer:
            self.timer.cancel()
        self.timer = self.loop.call_later(seconds, self._time_out) if seconds else None

    def _time_out(self) -> None:
        self._end("421 4.4.2 Too slow; try again later")

    def _await(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work and then go on with what has been received meanwhile."""
        self.transport.pause_reading()
        self.task = self.loop.create_task(self._and_go_on(work))

    async def _and_go_on(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:
            # The edge of a server: the client hears that it may come back, the log hears why.
            self._end("451 4.3.0 Something went wrong on our side; try again later")
            raise
        finally:
            self.task = None
        if self.is_dismissed:
            self._end(SHUTTING_DOWN)
        if not self.is_over:
            self._wait(self.port.limits.idle_seconds)
            if not self.is_unread:
                self.transport.resume_reading()
            self._work()

    def _note_tls(self) -> None:
        secured: ssl.SSLObject | None = self.transport.get_extra_info("ssl_object")
        if secured:
            self.client.tls_version = secured.version() or ""
            self.client.tls_cipher = (secured.cipher() or ("",))[0]


def _decoded(encoded: str) -> str | None:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
