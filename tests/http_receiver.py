"""An honest HTTP(S) receiver on loopback, with scripts for the dishonest ones.

    with HttpReceiver() as receiver:
        ...
        assert receiver.requests[0].body == b"..."

A script is a function of the open connection and the request that was read on it; it says what
goes back. `answer(...)` is the honest one.
"""

import gzip
import socket
import ssl
import struct
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from io import BufferedIOBase
from typing import Self


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    connection: int
    server_name: str | None


Script = Callable[[socket.socket, Received], None]


def answer(
    status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Script:
    """A complete answer that keeps the connection open."""

    def script(connection: socket.socket, received: Received) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)

    return script


def raw(data: bytes) -> Script:
    """Exactly these bytes, then the end of the connection."""

    def script(connection: socket.socket, received: Received) -> None:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_RDWR)

    return script


def silence(seconds: float = 30) -> Script:
    """Never answers."""

    def script(connection: socket.socket, received: Received) -> None:
        _wait_for_end(connection, seconds)

    return script


def slow_body(connection: socket.socket, received: Received) -> None:
    """One byte at a time, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(1000):
        connection.sendall(b"x")
        time.sleep(0.1)


def slow_headers(connection: socket.socket, received: Received) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(1000):
        connection.sendall(b"x")
        time.sleep(0.1)


def endless_body(connection: socket.socket, received: Received) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def endless_headers(connection: socket.socket, received: Received) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: and more\r\n" * 1000)


def endless_header_line(connection: socket.socket, received: Received) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        connection.sendall(b"x" * 65536)


def endless_continues(connection: socket.socket, received: Received) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)


def gzip_bomb(connection: socket.socket, received: Received) -> None:
    body = gzip.compress(b"\0" * 20_000_000)
    answer(200, body, {"Content-Encoding": "gzip"})(connection, received)


def reset(connection: socket.socket, received: Received) -> None:
    """The peer's kernel answers with RST instead of an orderly end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionError("The server closes it at once.")


class HttpReceiver:
    """Serves until the `with` block ends; plays `scripts` in order and stays on the last."""

    def __init__(
        self,
        *scripts: Script,
        certificate: tuple[str, str] | None = None,
        address: str = "127.0.0.1",
        port: int = 0,
        handshake: bool = True,
        newest_tls: ssl.TLSVersion | None = None,
    ) -> None:
        self.requests: list[Received] = []
        self.connection_count = 0
        self._scripts = scripts or (answer(),)
        self._tls = _context(certificate, newest_tls) if certificate else None
        if self._tls is not None:
            self._tls.sni_callback = self._remember_name
        self._handshake = handshake
        self._listener = socket.create_server(
            (address, port),
            family=socket.AF_INET6 if ":" in address else socket.AF_INET,
            backlog=128,
        )
        self.address = address
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        # Each connection has a thread, and the handshake runs in it.
        self._handshaken = threading.local()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._is_closing = False

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self.address}:{self.port}/hook"

    def play(self, script: Script) -> None:
        """From now on, answer every request so."""
        self._scripts = (script,)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *exception: object) -> None:
        self._is_closing = True
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(timeout=5)

    def wait_for(self, count: int, *, seconds: float = 5) -> list[Received]:
        deadline = time.monotonic() + seconds
        while len(self.requests) < count and time.monotonic() < deadline:
            time.sleep(0.005)
        return self.requests

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._is_closing:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connection_count += 1
            self._start(self._serve, connection, self.connection_count)

    def _serve(self, plain: socket.socket, number: int) -> None:
        connection = plain
        try:
            if not self._handshake:
                self._track(plain)
                _wait_for_end(plain, 30)
                return
            connection = self._secure(plain)
            self._track(connection)
            reader = connection.makefile("rb")
            with reader:
                while received := _read_request(reader, number, self._server_name()):
                    self._next_script(received)(connection, received)
        except ValueError:
            # Not HTTP, a TLS greeting for example.
            with suppress(OSError):
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
        except OSError:
            return
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()
            plain.close()

    def _track(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def _secure(self, plain: socket.socket) -> socket.socket:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is None:
            return plain
        return self._tls.wrap_socket(plain, server_side=True)

    def _remember_name(self, _: object, name: str | None, __: object) -> None:
        self._handshaken.name = name

    def _server_name(self) -> str | None:
        return getattr(self._handshaken, "name", None)

    def _next_script(self, received: Received) -> Script:
        with self._lock:
            self.requests.append(received)
            return self._scripts[min(len(self.requests), len(self._scripts)) - 1]


def _context(certificate: tuple[str, str], newest: ssl.TLSVersion | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if newest is not None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = newest
    return context


def _wait_for_end(connection: socket.socket, seconds: float) -> None:
    connection.settimeout(seconds)
    with suppress(OSError):
        while connection.recv(65536):
            pass


def _read_request(
    reader: BufferedIOBase, connection: int, server_name: str | None
) -> Received | None:
    line = reader.readline()
    if not line:
        return None
    method, path, _ = line.decode("ascii").split(" ")
    headers: dict[str, str] = {}
    while (line := reader.readline()) not in (b"\r\n", b""):
        name, _, value = line.decode("latin-1").rstrip("\r\n").partition(":")
        headers[name.lower()] = value.strip()
    body = reader.read(int(headers.get("content-length", "0")))
    return Received(method, path, headers, body, time.time(), connection, server_name)
