"""Where connections to other mail servers are made: nowhere else is SMTP dialled."""

import socket
import time

from sending.deadlines import Deadline
from sending.replies import GarbledReply
from sending.routes import Route, Tls
from sending.smtp_client import Connection, ConnectionBroken, Refused, TlsFailed

CONNECT_SECONDS = 10.0


def connect(route: Route, *, ehlo_name: str, deadline: Deadline) -> Connection:
    """A session with the first address of the route that answers.

    Raises ConnectionBroken (TlsFailed) or Refused. Under opportunistic TLS a handshake that fails
    is followed by plaintext on a new connection, as mail without TLS would have gone anyway.
    """
    try:
        return _connect(route, ehlo_name, deadline)
    except TlsFailed:
        if route.tls is not Tls.OPPORTUNISTIC:
            raise
        return _connect(route, ehlo_name, deadline, without_tls=True)


def _connect(
    route: Route, ehlo_name: str, deadline: Deadline, *, without_tls: bool = False
) -> Connection:
    began = time.monotonic()
    connection = Connection(route, _dial(route, deadline))
    try:
        starttls = route.tls is not Tls.IMPLICIT and not without_tls
        connection.greet(ehlo_name, deadline, starttls=starttls)
    except (OSError, GarbledReply) as problem:
        connection.socket.close()
        raise ConnectionBroken(str(problem)) from problem
    except (ConnectionBroken, Refused):
        connection.socket.close()
        raise
    connection.connect_seconds = time.monotonic() - began
    return connection


def _dial(route: Route, deadline: Deadline) -> socket.socket:
    problem: OSError | None = None
    for address in route.addresses or (route.host,):
        try:
            seconds = deadline.step(CONNECT_SECONDS).remaining()
            sock = socket.create_connection((address, route.port), timeout=seconds)
        except OSError as failed:
            problem = failed
        else:
            # Without it a kept TLS session did 23 mails a second; with it over 4,000.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    raise ConnectionBroken(f"{route.host}:{route.port} cannot be reached: {problem}") from problem
