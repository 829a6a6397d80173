"""The receiver of `benchmarks.webhooks`: answers 204 at once, or never for paths under /hang.

Prints its port, and at the end one line of JSON: when each `webhook-id` came in.
"""

import asyncio
import json
import signal
import ssl
import sys
import time

HANG = b" /hang"
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Receiver(asyncio.Protocol):
    """Just enough HTTP/1.1: heads, and bodies by Content-Length."""

    def __init__(self, arrivals: dict[str, float]) -> None:
        self._arrivals = arrivals
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            headers = dict(
                line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line
            )
            whole = end + 4 + int(headers.get(b"content-length", b"0"))
            if len(self._buffer) < whole:
                return
            self._buffer = self._buffer[whole:]
            if HANG in head:
                continue
            self._arrivals.setdefault(headers[b"webhook-id"].decode(), time.time())
            self._transport.write(ANSWER)


async def serve(certificate: str, key: str) -> None:
    arrivals: dict[str, float] = {}
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Receiver(arrivals), "127.0.0.1", 0, ssl=context, backlog=4096
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    print(json.dumps(arrivals), flush=True)


if __name__ == "__main__":
    asyncio.run(serve(*(sys.argv[1:] or ("", ""))))
