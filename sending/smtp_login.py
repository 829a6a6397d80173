"""AUTH PLAIN and LOGIN (RFC 4954, RFC 4616): one exchange at a time, over one connection."""

import base64
import binascii
from collections.abc import Callable

from sending.mailrooms import LoggedIn, Mailroom
from sending.smtp_connection import Connection

FAILURES_LIMIT = 3


class LoginExchange:
    """`answer` is given the next line of the client while `is_waiting`."""

    def __init__(self, connection: Connection, mailroom: Mailroom) -> None:
        self._connection = connection
        self._mailroom = mailroom
        self._next_line: Callable[[str], None] | None = None
        self._failure_count = 0

    @property
    def is_waiting(self) -> bool:
        return self._next_line is not None

    def begin(self, argument: str) -> None:
        mechanism, _, initial = argument.partition(" ")
        if mechanism.upper() == "PLAIN":
            self._ask("334 ", self._plain, initial)
        elif mechanism.upper() == "LOGIN":
            self._ask("334 VXNlcm5hbWU6", self._login_user, initial)
        else:
            self._connection.fault("504 5.5.4 PLAIN or LOGIN")

    def answer(self, line: str) -> None:
        answer, self._next_line = self._next_line, None
        assert answer
        answer(line)

    def _ask(self, prompt: str, answer: Callable[[str], None], initial: str = "") -> None:
        if initial:
            answer("" if initial == "=" else initial)
        else:
            self._next_line = answer
            self._connection.say(prompt)

    def _plain(self, encoded: str) -> None:
        parts = (_decoded(encoded) or "").split("\0")
        if encoded == "*":
            self._connection.fault("501 5.7.0 Cancelled")
        elif len(parts) != 3:
            self._connection.fault("501 5.5.2 That is no PLAIN response")
        elif parts[0] not in ("", parts[1]):
            # RFC 4616 2: to act for somebody else is not offered.
            self._connection.begin(self._refuse("535 5.7.8 No acting for another"))
        else:
            self._connection.begin(self._log_in(parts[1], parts[2]))

    def _login_user(self, encoded: str) -> None:
        user = _decoded(encoded)
        if encoded == "*":
            self._connection.fault("501 5.7.0 Cancelled")
        elif user is None:
            self._connection.fault("501 5.5.2 That is no base64")
        else:
            self._ask("334 UGFzc3dvcmQ6", lambda line: self._login_password(user, line))

    def _login_password(self, user: str, encoded: str) -> None:
        password = _decoded(encoded)
        if encoded == "*":
            self._connection.fault("501 5.7.0 Cancelled")
        elif password is None:
            self._connection.fault("501 5.5.2 That is no base64")
        else:
            self._connection.begin(self._log_in(user, password))

    async def _log_in(self, user: str, password: str) -> None:
        answer = await self._mailroom.log_in(user, password, self._connection.client)
        if isinstance(answer, LoggedIn):
            self._connection.client.login = answer.login
            self._connection.say("235 2.7.0 Welcome")
        else:
            await self._refuse(answer)

    async def _refuse(self, reply: str) -> None:
        self._failure_count += 1
        self._connection.say(reply)
        if self._failure_count >= FAILURES_LIMIT:
            self._connection.end("421 4.7.0 Too many failures")


def _decoded(encoded: str) -> str | None:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None
