"""One connection to a server of ours: lines in, replies out, and everything bounded.

It knows no command; the session that it becomes does. Line ends are CRLF or the connection ends:
a bare CR or LF is how one message is smuggled inside another.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol, cast

from sending.mailrooms import Client, Port

ERRORS_LIMIT = 20
HANDSHAKE_SECONDS = 10.0
GOODBYE_SECONDS = 5.0
SHUTTING_DOWN = "421 4.3.2 Shutting down; try again later"


class Registry(Protocol):
    """Who keeps count of the sessions of a port."""

    def admits(self, address: str) -> bool: ...

    def enter(self, session: "Connection") -> None: ...

    def leave(self, session: "Connection") -> None: ...


class Connection(asyncio.Protocol):
    """Bytes are taken in `data_received`; a mailroom's answer is awaited in a task, during which
    reading pauses."""

    def __init__(self, port: Port, doorkeeper: Registry) -> None:
        self.port = port
        self.doorkeeper = doorkeeper
        self.loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport
        self.client = Client("")
        self.is_over = False
        self.is_unread = False
        self.is_dismissed = False
        self.buffer = bytearray()
        self.task: asyncio.Task[None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.error_count = 0

    def take_next(self) -> bool:
        """Take what is complete of the buffer, once; False when nothing is."""
        raise NotImplementedError

    # The connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer = self.transport.get_extra_info("peername")
        self.client = Client(peer[0] if peer else "")
        if not self.doorkeeper.admits(self.client.address):
            self.end("421 4.7.0 Too many connections; try again later")
            return
        self.doorkeeper.enter(self)
        self._note_tls()
        self.wait(self.port.limits.idle_seconds)
        self.say(f"220 {self.port.name} ESMTP")

    def connection_lost(self, problem: Exception | None) -> None:
        self.is_over = True
        self.wait(None)
        self.doorkeeper.leave(self)

    def dismiss(self) -> None:
        """Take no more; what a mailroom is just taking is still answered."""
        self.is_dismissed = True
        if not self.task:
            self.end(SHUTTING_DOWN)

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
            if not self.take_next():
                break

    def take_line(self, *, limit: int) -> str | None:
        """The next line without its end; None when it is not all there, or this was the end."""
        end = self.buffer.find(b"\n")
        if (end if end >= 0 else len(self.buffer)) > limit:
            self.end("500 5.5.2 Line too long")
            return None
        if end < 0:
            return None
        line = bytes(self.buffer[: end + 1])
        del self.buffer[: end + 1]
        if not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\0" in line:
            self.end("500 5.5.2 Lines end in CRLF and hold no CR, LF or NUL")
            return None
        self.wait(self.port.limits.idle_seconds)
        try:
            return line[:-2].decode("utf-8")
        except UnicodeDecodeError:
            self.fault("500 5.5.2 A command is UTF-8")
            return self.take_line(limit=limit)

    async def start_tls(self, context: ssl.SSLContext) -> None:
        """Handshake; whoever fails at it is sent away."""
        try:
            transport = await self.loop.start_tls(
                self.transport,
                self,
                context,
                server_side=True,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
            )
        except OSError:
            self.hang_up()
            return
        if transport is None:  # The client left while the handshake was under way.
            return
        # RFC 3207 4.2: everything learned before TLS is forgotten.
        self.transport, self.client = transport, Client(self.client.address)
        self._note_tls()

    # Replies, time, tasks

    def say(self, *lines: str) -> None:
        if not self.is_over:
            self.transport.write("".join(f"{line}\r\n" for line in lines).encode())

    def fault(self, reply: str) -> None:
        """A reply to something that an honest client does seldom."""
        self.error_count += 1
        if self.error_count > ERRORS_LIMIT:
            self.end("421 4.7.0 Too many errors")
        else:
            self.say(reply)

    def end(self, reply: str) -> None:
        self.say(reply)
        self.hang_up()

    def hang_up(self) -> None:
        if not self.is_over:
            self.is_over = True
            self.buffer.clear()
            self.transport.close()
            # A client that reads nothing would keep what is left to be written for ever.
            self.wait(None)
            self.timer = self.loop.call_later(GOODBYE_SECONDS, self.transport.abort)

    def wait(self, seconds: float | None) -> None:
        """Hang up unless the client comes on in this time; None while it waits for us."""
        if self.timer:
            self.timer.cancel()
        self.timer = self.loop.call_later(seconds, self._time_out) if seconds else None

    def _time_out(self) -> None:
        self.end("421 4.4.2 Too slow; try again later")

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work and then go on with what has been received meanwhile."""
        self.transport.pause_reading()
        self.task = self.loop.create_task(self._and_go_on(work))

    async def _and_go_on(self, work: Awaitable[None]) -> None:
        try:
            await work
        except Exception:
            # The edge of a server: the client hears that it may come back, the log hears why.
            self.end("451 4.3.0 Something went wrong on our side; try again later")
            raise
        finally:
            self.task = None
        if self.is_dismissed:
            self.end(SHUTTING_DOWN)
        if not self.is_over:
            self.wait(self.port.limits.idle_seconds)
            if not self.is_unread:
                self.transport.resume_reading()
            self._work()

    def _note_tls(self) -> None:
        secured: ssl.SSLObject | None = self.transport.get_extra_info("ssl_object")
        if secured:
            self.client.tls_version = secured.version() or ""
            self.client.tls_cipher = (secured.cipher() or ("",))[0]
