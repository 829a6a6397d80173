"""The one HTTP client that opens addresses which customers name.

A tenant may point a webhook anywhere, so what keeps us out of the operator's own network stands
here and nowhere else:

* the URL is read by a strict grammar, so that no two parsers can disagree about its host;
* names are resolved when dialling, every answer must be public by our own table, and the address
  that was checked is the address that is dialled (the name stays in SNI and Host);
* no redirect, no cookie, no proxy, no decompression; bounds on time, headers and body.

`submit` and `send` may be called from any thread: one event loop per process carries the
connections and keeps them alive between calls.
"""

import asyncio
import atexit
import os
import threading
from concurrent.futures import Future

from queensmtp.outbound_client import Client, Request, Response
from queensmtp.outbound_urls import Policy, Reason, check_stream, check_url

__all__ = [
    "Client",
    "Policy",
    "Reason",
    "Request",
    "Response",
    "check_stream",
    "check_url",
    "close",
    "send",
    "send_stream",
    "submit",
]


class _LoopThread:
    """One event loop with one client, in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._client: Client | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="outbound", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> Future[Response]:
        return asyncio.run_coroutine_threadsafe(self._send(request), self._loop)

    def submit_stream(self, host: str, port: int, data: bytes, timeout: float) -> Future[None]:
        sending = self._send_stream(host, port, data, timeout)
        return asyncio.run_coroutine_threadsafe(sending, self._loop)

    async def _send(self, request: Request) -> Response:
        return await self._made_client().send(request)

    async def _send_stream(self, host: str, port: int, data: bytes, timeout: float) -> None:
        await self._made_client().send_stream(host, port, data, timeout)

    def _made_client(self) -> Client:
        """Made in the loop that it belongs to."""
        if self._client is None:
            self._client = Client(Policy.from_settings())
        return self._client

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close_client(), self._loop).result(timeout=5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    async def _close_client(self) -> None:
        if self._client is not None:
            await self._client.close()


class _Process:
    """What this process holds: at most one loop thread."""

    def __init__(self) -> None:
        self.starting = threading.Lock()
        self.thread: _LoopThread | None = None


_process = _Process()
_of_parents: list[_Process] = []


def submit(request: Request) -> Future[Response]:
    """Send in the background; the future's exception is a DeliveryFailure."""
    with _process.starting:
        return _started_thread().submit(request)


def send_stream(host: str, port: int, data: bytes, *, timeout: float) -> None:
    """Write bytes to a host over TLS: for syslog, which answers nothing (RFC 5425)."""
    with _process.starting:
        sending = _started_thread().submit_stream(host, port, data, timeout)
    sending.result()


def _started_thread() -> _LoopThread:
    if _process.thread is None:
        _process.thread = _LoopThread()
    return _process.thread


def send(request: Request) -> Response:
    return submit(request).result()


def close() -> None:
    """End the process's loop and its connections; the next request starts anew."""
    with _process.starting:
        thread, _process.thread = _process.thread, None
    if thread is not None:
        thread.close()


def _start_anew_after_fork() -> None:
    """A child inherits the loop without its thread. It is kept, not closed: closing would take
    descriptors out of the epoll that parent and child share."""
    global _process
    _of_parents.append(_process)
    _process = _Process()


atexit.register(close)
os.register_at_fork(after_in_child=_start_anew_after_fork)
