"""The console over TLS in a thread of the test, as people meet it: __Host- cookies need https."""

import contextlib
import ssl
import threading
from typing import Any

from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer
from django.db import connections
from django.test.testcases import QuietWSGIRequestHandler


class TlsServer(ThreadedWSGIServer):
    def __init__(self, certificate: str, key: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler, connections_override=None)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        # The handshake happens in the connection's own thread, where a slow one holds up nobody.
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )
        self.set_app(StaticFilesHandler(WSGIHandler()))

    @property
    def url(self) -> str:
        return f"https://localhost:{self.server_port}"

    def serve(self) -> threading.Thread:
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        try:
            self.serve_forever(poll_interval=0.05)
        finally:
            connections.close_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Browsers drop connections that they opened in advance; that is no fault of ours."""


class _Handler(QuietWSGIRequestHandler):
    def get_environ(self) -> dict[str, Any]:
        return {**super().get_environ(), "HTTPS": "on"}

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()
