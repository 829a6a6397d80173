"""The receiver that the demo delivers to: it does what a customer's server should do.

It verifies each delivery before it believes a word of it, answers 400 to a bad signature, and
writes down what came in.
"""

import json
import signal
import socket
import ssl
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from webhooks import signing

LARGEST_BODY = 1_000_000
# Of one read; a client that is slower than that is cut off.
PATIENCE_SECONDS = 10


class DemoReceiver(ThreadingHTTPServer):
    """HTTPS only. The secret is read for every delivery, so that a rotation needs no restart."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self, address: tuple[str, int], *, tls: ssl.SSLContext, secret_file: Path, log: Path
    ) -> None:
        super().__init__(address, DeliveryHandler)
        self._tls = tls
        self._secret_file = secret_file
        self._log = log
        self._writing = threading.Lock()

    def get_request(self) -> tuple[socket.socket, Any]:
        plain, address = super().get_request()
        plain.settimeout(PATIENCE_SECONDS)
        # The handshake comes with the first read, in the thread of the connection.
        secure = self._tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        return secure, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that speaks no TLS, or hangs up, is no news."""

    def receive(self, headers: Mapping[str, str], body: bytes) -> bool:
        """Write the delivery down; whether its signature holds."""
        verified = self._is_genuine(headers, body)
        line = {
            "id": headers.get("webhook-id", "")[:100],
            "type": _type_of(body) if verified else None,
            "verified": verified,
            "received_at": datetime.now(UTC).isoformat(),
        }
        with self._writing, self._log.open("a") as log:
            log.write(json.dumps(line) + "\n")
        return verified

    def _is_genuine(self, headers: Mapping[str, str], body: bytes) -> bool:
        try:
            secret = self._secret_file.read_text().strip()
            signing.verify(secrets=[secret], headers=headers, body=body)
        except (OSError, ValueError, signing.VerificationError):
            return False
        return True


class DeliveryHandler(BaseHTTPRequestHandler):
    server: DemoReceiver
    protocol_version = "HTTP/1.1"
    server_version = "demo-receiver"
    sys_version = ""
    timeout = PATIENCE_SECONDS

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit() and int(length) <= LARGEST_BODY):
            self.close_connection = True
            self._answer(413 if length.isdigit() else 411)
            return
        body = self.rfile.read(int(length))
        genuine = self.server.receive({k.lower(): v for k, v in self.headers.items()}, body)
        self._answer(204 if genuine else 400)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        """What came in is in the log file."""


def _type_of(body: bytes) -> str | None:
    try:
        payload = json.loads(body)
    except ValueError:
        return None
    return payload.get("type") if isinstance(payload, dict) else None


def tls_context(certificate: str, key: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context


def serve_until_stopped(receiver: DemoReceiver) -> None:
    """Until SIGTERM or SIGINT; must be called in the main thread."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    stopped.wait()
    receiver.shutdown()
    receiver.server_close()
