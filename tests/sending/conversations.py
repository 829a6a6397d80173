"""Holds conversations of `dialogs/`: `C: ` is sent with CRLF, `S: ` is a pattern of what comes.

`C> ` is sent as it stands, with \\r, \\n and \\x00 written out. `TLS` starts the handshake,
`CLOSED` says that the server has hung up. A line of `#` is a comment.
"""

import contextlib
import re
import socket
import ssl
from pathlib import Path

SECONDS = 5

_open: "list[Conversation]" = []


def close_all() -> None:
    """For an autouse fixture: an unclosed socket is a warning, and a warning is an error."""
    while _open:
        _open.pop().close()


class Conversation:
    def __init__(self, port: int, *, ca_file: Path | None = None, implicit: bool = False) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        self.ca_file = ca_file
        self.received = b""
        _open.append(self)
        if implicit:
            self.start_tls()

    def hold(self, dialog: str) -> None:
        for number, line in enumerate(dialog.splitlines(), start=1):
            try:
                self.step(line)
            except AssertionError as failed:
                raise AssertionError(f"line {number}: {failed}") from failed

    def step(self, line: str) -> None:
        match line[:3]:
            case "C: ":
                self.send(line[3:].encode() + b"\r\n")
            case "C> ":
                self.send(line[3:].encode().decode("unicode_escape").encode("latin-1"))
            case "S: ":
                self.expect(line[3:])
            case "TLS":
                self.start_tls()
            case "CLO":
                self.expect_end()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def start_tls(self) -> None:
        context = ssl.create_default_context(cafile=self.ca_file)
        self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def expect(self, pattern: str) -> str:
        line = self.line()
        assert re.fullmatch(pattern, line), f"{line!r} does not match {pattern!r}"
        return line

    def line(self) -> str:
        while b"\r\n" not in self.received:
            chunk = self.socket.recv(65_536)
            assert chunk, f"closed after {self.received!r}"
            self.received += chunk
        line, _, self.received = self.received.partition(b"\r\n")
        return line.decode()

    def expect_end(self) -> None:
        assert not self.received, f"{self.received!r} came before the end"
        with contextlib.suppress(ConnectionResetError):
            assert not self.socket.recv(65_536)

    def close(self) -> None:
        self.socket.close()
