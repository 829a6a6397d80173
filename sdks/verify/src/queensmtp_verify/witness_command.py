"""`queensmtp-witness`: make its key, and serve `add-checkpoint` over HTTP."""

import argparse
import json
import os
import ssl
import sys
from base64 import b64decode, b64encode
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from queensmtp_verify.findings import Malformed
from queensmtp_verify.notes import WITNESS, Key, read_key
from queensmtp_verify.witness import TEXT, Answer, Witness

# 63 hashes and a note with some signatures.
LARGEST_BODY = 16 * 1024
IDLE_SECONDS = 30


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    try:
        asked.run(asked)
    except KeyboardInterrupt:
        return 0
    except (OSError, ValueError, KeyError) as error:
        print(f"queensmtp-witness: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="queensmtp-witness", description=__doc__)
    commands = parser.add_subparsers(required=True)
    make = commands.add_parser("make-key", help="make a private key, and print the public one")
    make.add_argument("file", type=Path)
    make.add_argument("--name", required=True, help="such as witness.example/w1")
    make.set_defaults(run=_make_key)
    run = commands.add_parser("serve", help="cosign checkpoints until you stop it")
    run.add_argument("configuration", type=Path)
    run.set_defaults(run=_serve)
    return parser


def _make_key(asked: argparse.Namespace) -> None:
    key = Ed25519PrivateKey.generate()
    descriptor = os.open(asked.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(b64encode(key.private_bytes_raw()).decode() + "\n")
    print(Key(key.public_key().public_bytes_raw(), asked.name, WITNESS).written())


def _serve(asked: argparse.Namespace) -> None:
    server = make_server(json.loads(asked.configuration.read_text()), asked.configuration.parent)
    print(f"listening on {server.server_address[0]!s}:{server.server_address[1]}", flush=True)
    with server:
        server.serve_forever()


def make_server(configuration: dict[str, Any], folder: Path) -> ThreadingHTTPServer:
    """Return the server that a configuration describes; its paths are relative to a folder."""
    witness = read_witness(configuration, folder)
    host, _, port = str(configuration.get("listen", "127.0.0.1:8447")).rpartition(":")

    class Handler(_Handler):
        pass

    Handler.witness = witness
    server = ThreadingHTTPServer((host, int(port)), Handler)
    server.daemon_threads = True
    if "certificate" in configuration:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(
            folder / configuration["certificate"], folder / configuration["key"]
        )
        # The handshake belongs to the connection's own thread, not to the one that accepts.
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    return server


def read_witness(configuration: dict[str, Any], folder: Path) -> Witness:
    private = b64decode((folder / configuration["signing_key_file"]).read_text(), validate=False)
    if len(private) != 32:
        raise Malformed("`signing_key_file` holds no key; `queensmtp-witness make-key` makes one")
    logs = {
        origin: [read_key(text) for text in keys] for origin, keys in configuration["logs"].items()
    }
    return Witness(
        name=configuration["name"],
        key=Ed25519PrivateKey.from_private_bytes(private),
        store=folder / configuration["store"],
        logs=logs,
    )


class _Handler(BaseHTTPRequestHandler):
    witness: Witness
    protocol_version = "HTTP/1.1"
    server_version = "queensmtp-witness"
    sys_version = ""
    timeout = IDLE_SECONDS

    def do_POST(self) -> None:
        if self.path != "/add-checkpoint":
            self._answer(Answer(404, "only /add-checkpoint is served\n"))
            return
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            self.close_connection = True
            self._answer(Answer(413, f"give a Content-Length of at most {LARGEST_BODY}\n"))
            return
        self._answer(self.witness.add_checkpoint(self.rfile.read(int(length))))

    def do_GET(self) -> None:
        """Tell the public key to whoever wants to trust this witness."""
        if self.path == "/":
            self._answer(Answer(200, self.witness.public_key().written() + "\n"))
        else:
            self._answer(Answer(404, "only / is served\n"))

    def _answer(self, answer: Answer) -> None:
        body = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type or TEXT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
