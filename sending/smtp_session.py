"""The server side of SMTP for every port of ours: commands in, replies out, everything bounded.

It knows the protocol and no policy. Who may log in, which recipients are taken and what becomes
of a message, it asks its Mailroom.

aiosmtpd is not used: it answers 250 to every smuggling form, offers no PIPELINING, and does
about a tenth of the messages a second.
"""

import re
import ssl
from collections.abc import Callable

from sending import smtp_paths
from sending.mailrooms import Envelope, Mailroom, Port
from sending.smtp_connection import Connection, Registry
from sending.smtp_content import Content
from sending.smtp_login import LoginExchange
from sending.smtp_paths import CommandRefused, too_large

COMMAND_LIMIT = 2_048
# RFC 4954 4: a line of an AUTH exchange may be longer than a command.
AUTH_LINE_LIMIT = 12_288
# Commands that lead nowhere, between two messages.
IDLE_COMMANDS_LIMIT = 500
# Senders and recipients that the mailroom does not take, between two messages that it takes.
REFUSALS_LIMIT = 200

_HELO_NAME = re.compile(r"[A-Za-z0-9.:_\[\]-]{1,255}")
_BEFORE_TLS = frozenset({"EHLO", "HELO", "STARTTLS", "NOOP", "QUIT"})
_BEFORE_LOGIN = _BEFORE_TLS | {"AUTH", "RSET"}
_IDLE = frozenset({"EHLO", "HELO", "NOOP", "RSET", "VRFY"})
_NOT_IMPLEMENTED = frozenset({"EXPN", "TURN", "ETRN", "HELP", "XCLIENT", "XFORWARD", "BDAT"})


class Session(Connection):
    """One client in conversation with a mailroom."""

    def __init__(self, port: Port, mailroom: Mailroom, doorkeeper: Registry) -> None:
        super().__init__(port, doorkeeper)
        self.mailroom = mailroom
        self.login = LoginExchange(self, mailroom)
        self.content: Content | None = None
        self.envelope: Envelope | None = None
        self.idle_command_count = 0
        self.refusal_count = 0

    def take_next(self) -> bool:
        if self.content:
            return self._take_content()
        limit = AUTH_LINE_LIMIT if self.login.is_waiting else COMMAND_LIMIT
        line = self.take_line(limit=limit)
        if line is None:
            return False
        if self.login.is_waiting:
            self.login.answer(line)
        else:
            self._command(line)
        return True

    # Commands

    def _command(self, line: str) -> None:
        verb, _, argument = line.partition(" ")
        verb = verb.upper()
        handler: Callable[[str], None] | None = getattr(self, f"_on_{verb.lower()}", None)
        if verb in _NOT_IMPLEMENTED:
            self.fault("502 5.5.1 Not implemented")
        elif handler is None or not verb.isalpha():
            self.fault("500 5.5.1 What?")
        elif refusal := self._too_early(verb):
            self.fault(refusal)
        elif verb in _IDLE and self._is_idling():
            self.end("421 4.7.0 Too many commands without a message")
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
        self.say(*(f"250-{offer}" for offer in offers[:-1]), f"250 {offers[-1]}")

    def _on_helo(self, name: str) -> None:
        if self._greeted(name):
            self.say(f"250 {self.port.name}")

    def _greeted(self, name: str) -> bool:
        if not _HELO_NAME.fullmatch(name):
            self.fault("501 5.5.4 That is no host name")
            return False
        self.client.helo, self.envelope = name, None
        return True

    def _on_noop(self, _: str) -> None:
        self.say("250 2.0.0 Ok")

    def _on_rset(self, _: str) -> None:
        self.envelope = None
        self.say("250 2.0.0 Forgotten")

    def _on_vrfy(self, _: str) -> None:
        self.say("252 2.1.5 Send and see")

    def _on_quit(self, _: str) -> None:
        self.end("221 2.0.0 Bye")

    def _on_starttls(self, argument: str) -> None:
        if argument:
            self.fault("501 5.5.4 STARTTLS takes no argument")
        elif self.client.tls_version or not self.port.tls:
            self.fault("503 5.5.1 No STARTTLS here")
        elif self.buffer:
            # Somebody put commands behind it in plaintext, to be taken under TLS (RFC 3207 5).
            self.end("554 5.5.0 Nothing may follow STARTTLS before TLS")
        else:
            self.say("220 2.0.0 Go ahead")
            self.begin(self._secure(self.port.tls))

    async def _secure(self, context: ssl.SSLContext) -> None:
        await self.start_tls(context)
        self.envelope = None

    def _on_mail(self, argument: str) -> None:
        if self.envelope:
            self.fault("503 5.5.1 One message at a time; RSET forgets it")
            return
        try:
            envelope = smtp_paths.read_sender(
                argument, message_bytes=self.port.limits.message_bytes
            )
        except CommandRefused as refused:
            self.fault(str(refused))
        else:
            self.begin(self._mail(envelope))

    async def _mail(self, envelope: Envelope) -> None:
        refusal = await self.mailroom.refuse_sender(envelope, self.client)
        if refusal:
            self._refuse(refusal)
        else:
            self.envelope = envelope
            self.say("250 2.1.0 Ok")

    def _on_rcpt(self, argument: str) -> None:
        if not self.envelope:
            self.fault("503 5.5.1 MAIL first")
            return
        try:
            address = smtp_paths.read_recipient(argument, self.envelope)
        except CommandRefused as refused:
            self.fault(str(refused))
            return
        if len(self.envelope.recipients) >= self.port.limits.recipients:
            self.say("452 4.5.3 Too many recipients; send the rest in another message")
        else:
            self.begin(self._rcpt(address, self.envelope))

    async def _rcpt(self, address: str, envelope: Envelope) -> None:
        refusal = await self.mailroom.refuse_recipient(address, envelope, self.client)
        if refusal:
            self._refuse(refusal)
        else:
            if address not in envelope.recipients:
                envelope.recipients.append(address)
            self.say("250 2.1.5 Ok")

    def _on_data(self, argument: str) -> None:
        if argument:
            self.fault("501 5.5.4 DATA takes no argument")
        elif not self.envelope or not self.envelope.recipients:
            self.fault("503 5.5.1 No valid recipients")
        elif self.buffer:
            self.end("554 5.5.0 Wait for 354 before the content")
        else:
            self.content = Content(self.port.limits.message_bytes)
            self.wait(self.port.limits.content_seconds)
            self.say("354 End with a line that holds only a dot")

    def _on_auth(self, argument: str) -> None:
        if not self.mailroom.needs_login:
            self.fault("502 5.5.1 Nobody logs in here")
        elif self.client.login or self.envelope:
            self.fault("503 5.5.1 Already authenticated")
        else:
            self.login.begin(argument)

    def _refuse(self, reply: str) -> None:
        """The mailroom's refusal, which an honest list of recipients may bring now and then."""
        self.refusal_count += 1
        if self.refusal_count > REFUSALS_LIMIT:
            self.end("421 4.7.0 Too much that is not taken")
        else:
            self.say(reply)

    # Content

    def _take_content(self) -> bool:
        assert self.content and self.envelope
        data = bytes(self.buffer)
        self.buffer.clear()
        rest = self.content.feed(data)
        if self.content.is_foul:
            self.end("554 5.6.0 Lines end in CRLF and hold no CR, LF or NUL")
            return False
        if self.content.is_flood:
            self.end(too_large(self.port.limits.message_bytes))
            return False
        if rest is None:
            return False
        self.buffer += rest
        content, envelope = self.content, self.envelope
        self.content, self.envelope = None, None
        self.wait(None)
        if content.is_too_large:
            self.fault(too_large(self.port.limits.message_bytes))
        else:
            self.begin(self._take(envelope, content.unstuffed()))
        return True

    async def _take(self, envelope: Envelope, content: bytes) -> None:
        self.idle_command_count = 0
        reply = await self.mailroom.take(envelope, content, self.client)
        if reply.startswith("2"):
            self.refusal_count = 0
        self.say(reply)
