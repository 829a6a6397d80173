"""Takes one message to its recipients at one destination, and says what became of each.

Connections are kept and shared between threads. A connection that was kept and turns out broken
before the final dot is replaced once without a word; after the dot the outcome is in doubt, and
that is said, never guessed.
"""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from django.conf import settings

from queensmtp.errors import TemporaryFailure
from sending import smtp_dialing
from sending.deadlines import Deadline
from sending.replies import SmtpReply, Verdict
from sending.routes import Route
from sending.smtp_client import (
    Answers,
    Connection,
    ConnectionBroken,
    Envelope,
    Refused,
    TlsFailed,
)
from sending.states import State

# Below the idle time-out of any server, so that a kept connection is seldom found dead.
IDLE_SECONDS = 15.0
IDLE_CONNECTIONS_PER_ROUTE = 8
# The whole of one delivery; the lease of a recipient must be longer.
DELIVERY_SECONDS = 100.0


@dataclass(frozen=True, slots=True)
class Proof:
    """The server that answered, how the line to it was secured, and how long it took."""

    mx_host: str
    tls_version: str
    tls_cipher: str
    connect_seconds: float
    transfer_seconds: float
    # The mode of the destination's MTA-STS policy, if it has one.
    mta_sts: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recipient, in the remote's words. `code` is 0 when there were none."""

    recipient: str
    state: State
    code: int
    enhanced: str
    reply: str
    proof: Proof


class Pool:
    """Idle connections by route, newest first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: dict[Route, deque[Connection]] = {}
        self._swept_at = time.monotonic()

    def take(self, route: Route) -> Connection | None:
        """A kept connection that still looks alive, or None."""
        while True:
            with self._lock:
                idle = self._idle.get(route)
                connection = idle.pop() if idle else None
            if connection is None:
                return None
            if not _is_old(connection) and not connection.is_stale():
                return connection
            connection.close()

    def give(self, connection: Connection) -> None:
        """Keep a connection for the next message, and close what nobody came for."""
        connection.idle_since = time.monotonic()
        with self._lock:
            idle = self._idle.setdefault(connection.route, deque())
            idle.append(connection)
            surplus = [idle.popleft()] if len(idle) > IDLE_CONNECTIONS_PER_ROUTE else []
            surplus += self._old()
        for one in surplus:
            one.close()

    def close(self) -> None:
        with self._lock:
            connections = [one for idle in self._idle.values() for one in idle]
            self._idle.clear()
        for connection in connections:
            connection.close()

    def _old(self) -> list[Connection]:
        """Taken out, now and then: thousands of destinations are written to once."""
        if time.monotonic() - self._swept_at < IDLE_SECONDS:
            return []
        self._swept_at = time.monotonic()
        old = []
        for route, idle in list(self._idle.items()):
            while idle and _is_old(idle[0]):
                old.append(idle.popleft())
            if not idle:
                del self._idle[route]
        return old


def _is_old(connection: Connection) -> bool:
    return time.monotonic() - connection.idle_since > IDLE_SECONDS


class Courier:
    """Thread-safe; one for a process."""

    def __init__(self, *, ehlo_name: str, delivery_seconds: float = DELIVERY_SECONDS) -> None:
        self.ehlo_name = ehlo_name
        self.delivery_seconds = delivery_seconds
        self.pool = Pool()

    def deliver(
        self,
        routes: Sequence[Route],
        *,
        return_path: str,
        recipients: Sequence[str],
        message: bytes,
        smtputf8: bool = False,
        deadline: Deadline | None = None,
    ) -> list[Outcome]:
        """One outcome for each recipient, in their order, from the first route that talks to us.

        The deadline is that of the whole, the look-up of the routes included. Raises
        TemporaryFailure when no route talks to us: nothing was delivered to anybody.
        """
        envelope = Envelope(return_path, recipients, smtputf8)
        deadline = deadline or Deadline.after(self.delivery_seconds)
        problem: Exception | None = None
        for route in routes:
            try:
                return self._deliver_by(route, envelope, message, deadline)
            except (ConnectionBroken, Refused) as failed:
                problem = failed
        # What the sender demands of a server's TLS says nothing of how much mail it takes.
        reason = "tls" if isinstance(problem, TlsFailed) else "unreachable"
        raise TemporaryFailure(f"No server takes the mail: {problem}", reason=reason) from problem

    def _deliver_by(
        self, route: Route, envelope: Envelope, message: bytes, deadline: Deadline
    ) -> list[Outcome]:
        kept = self.pool.take(route)
        if kept:
            try:
                return self._deliver_over(kept, envelope, message, deadline, connect_seconds=0.0)
            except ConnectionBroken:
                # It was idle too long for the other side; nothing has been delivered.
                pass
        fresh = smtp_dialing.connect(route, ehlo_name=self.ehlo_name, deadline=deadline)
        return self._deliver_over(
            fresh, envelope, message, deadline, connect_seconds=fresh.connect_seconds
        )

    def _deliver_over(
        self,
        connection: Connection,
        envelope: Envelope,
        message: bytes,
        deadline: Deadline,
        *,
        connect_seconds: float,
    ) -> list[Outcome]:
        began = time.monotonic()
        try:
            answers = _impossible(connection, envelope, message) or connection.deliver(
                envelope, message, deadline
            )
        except BaseException:
            connection.socket.close()
            raise
        proof = Proof(
            mx_host=connection.route.host,
            tls_version=connection.tls_version,
            tls_cipher=connection.tls_cipher,
            connect_seconds=connect_seconds,
            transfer_seconds=time.monotonic() - began,
            mta_sts=connection.route.mta_sts,
        )
        if answers.doubt or (answers.content and answers.content.code == 421):
            connection.socket.close()
        else:
            self.pool.give(connection)
        return [
            _outcome(recipient, reply, answers, connection.route, proof)
            for recipient, reply in zip(envelope.recipients, answers.recipients, strict=True)
        ]


def _outcome(
    recipient: str, reply: SmtpReply, answers: Answers, route: Route, proof: Proof
) -> Outcome:
    is_accepted = reply.verdict is Verdict.DONE
    if is_accepted and answers.doubt:
        return Outcome(recipient, State.IN_DOUBT, 0, "", answers.doubt, proof)
    last = answers.content if is_accepted and answers.content else reply
    return Outcome(recipient, _state(last, route), last.code, last.enhanced, last.text, proof)


def _state(reply: SmtpReply, route: Route) -> State:
    if reply.verdict is Verdict.DONE:
        return State.DELIVERED if route.is_final else State.SENT
    if reply.verdict is Verdict.PERMANENT:
        return State.BOUNCED
    return State.DEFERRED


def _impossible(connection: Connection, envelope: Envelope, message: bytes) -> Answers | None:
    """The answer that the server's offers give without asking it, in its own codes."""
    host, offers = connection.route.host, connection.offers
    if offers.size_limit is not None and len(message) > offers.size_limit:
        text = f"The message has {len(message)} bytes; {host} takes {offers.size_limit}."
        refusal = SmtpReply(552, "5.3.4", (text,))
    elif envelope.smtputf8 and not offers.smtputf8:
        refusal = SmtpReply(550, "5.6.7", (f"{host} takes no addresses outside ASCII.",))
    else:
        return None
    return Answers([refusal] * len(envelope.recipients))


@cache
def configured() -> Courier:
    """The courier of this process."""
    return Courier(ehlo_name=settings.HELO_NAME)
