"""Listens for SMTP: who may come in, and how a port is closed."""

import asyncio
import ssl
from collections import Counter

from sending.mailrooms import Limits, Mailroom, Port
from sending.smtp_connection import HANDSHAKE_SECONDS, Connection
from sending.smtp_session import Session

STOP_SECONDS = 10.0
# What every client since 2014 has. CBC, which the defaults of OpenSSL still hold, is not among it.
TLS_1_2_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class Doorkeeper:
    """Knows the open sessions of a port, in all and by address."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._by_address: Counter[str] = Counter()
        self.sessions: set[Connection] = set()

    def admits(self, address: str) -> bool:
        return (
            len(self.sessions) < self._limits.sessions
            and self._by_address[address] < self._limits.sessions_per_address
        )

    def enter(self, session: Connection) -> None:
        self.sessions.add(session)
        self._by_address[session.client.address] += 1

    def leave(self, session: Connection) -> None:
        if session in self.sessions:
            self.sessions.remove(session)
            address = session.client.address
            self._by_address[address] -= 1
            # A Counter that never forgets an address is a leak.
            if not self._by_address[address]:
                del self._by_address[address]


class Listener:
    """A listening port."""

    def __init__(self, server: asyncio.Server, doorkeeper: Doorkeeper) -> None:
        self._server = server
        self._doorkeeper = doorkeeper

    @property
    def number(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Accept nobody, answer what is being taken, and send the others away."""
        self._server.close()
        sessions = list(self._doorkeeper.sessions)
        for session in sessions:
            session.dismiss()
        tasks = [session.task for session in sessions if session.task]
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        for session in list(self._doorkeeper.sessions):
            session.transport.abort()
        # A lost connection is told in the next turn of the loop.
        await asyncio.sleep(0)


async def listen(port: Port, mailroom: Mailroom, *, host: str, number: int) -> Listener:
    """Listen; asyncio sets TCP_NODELAY on every connection by itself."""
    doorkeeper = Doorkeeper(port.limits)
    server = await asyncio.get_running_loop().create_server(
        lambda: Session(port, mailroom, doorkeeper),
        host,
        number,
        ssl=port.tls if port.is_implicit_tls else None,
        ssl_handshake_timeout=HANDSHAKE_SECONDS if port.is_implicit_tls else None,
    )
    return Listener(server, doorkeeper)


def tls_context(certificate_file: str, key_file: str) -> ssl.SSLContext:
    """TLS 1.2 and 1.3, with authenticated ciphers only, no renegotiation and no compression."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS_1_2_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(certificate_file, key_file)
    return context
