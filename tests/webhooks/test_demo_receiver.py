import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from queensmtp import outbound
from queensmtp.errors import TemporaryFailure
from queensmtp.outbound import Request
from tests.certificates import Authority
from tests.factories.cast import Cast
from tests.factories.webhooks import deliver, enqueue, make_endpoint, make_event, secret_of
from webhooks import signing

ROOT = Path(__file__).parents[2]
SECRET = signing.new_secret()
BODY = b'{"type":"email.sent"}'


class Demo:
    def __init__(self, folder: Path, port_base: int) -> None:
        self.port = port_base + 444
        self.url = f"https://localhost:{self.port}/"
        self.secret_file = folder / "secret"
        self.log = folder / "log.jsonl"

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def authority(tmp_path: Path, settings: Any) -> Authority:
    authority = Authority(tmp_path)
    settings.OUTBOUND_CA_FILE = str(authority.ca_file)
    return authority


@pytest.fixture
def demo(tmp_path: Path, authority: Authority) -> Iterator[Demo]:
    demo = Demo(tmp_path, port_base=_free_port() - 444)
    demo.secret_file.write_text(SECRET + "\n")
    certificate, key = authority.issue("localhost", "127.0.0.1")
    process = subprocess.Popen(
        [sys.executable, ROOT / "manage.py", "demo_receiver"],
        env={
            **os.environ,
            "QUEENSMTP_MODE": "embedded",
            "QUEENSMTP_PORT_BASE": str(demo.port - 444),
            "TLS_CERT_FILE": certificate,
            "TLS_KEY_FILE": key,
            "DEMO_WEBHOOK_SECRET_FILE": str(demo.secret_file),
            "DEMO_WEBHOOK_LOG": str(demo.log),
        },
    )
    _wait_for_port(demo.port)
    yield demo
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError("The demo receiver did not start.")


def _read(connection: socket.socket) -> bytes:
    try:
        return connection.recv(100)
    except ConnectionResetError:
        return b""


def signed(body: bytes = BODY, secret: str = SECRET) -> dict[str, str]:
    return signing.sign(secrets=[secret], id="event-1", timestamp=int(time.time()), body=body)


def test_it_takes_what_is_signed_and_refuses_everything_else(demo: Demo) -> None:
    def post(body: bytes, headers: dict[str, str]) -> int:
        return outbound.send(Request(url=demo.url, body=body, headers=headers)).status

    assert post(BODY, signed()) == 204
    assert post(BODY + b" ", signed()) == 400
    assert post(BODY, signed(secret=signing.new_secret())) == 400
    assert post(BODY, {}) == 400
    demo.secret_file.unlink()
    assert post(BODY, signed()) == 400

    lines = demo.lines()
    assert [line["verified"] for line in lines] == [True, False, False, False, False]
    assert lines[0] | {"received_at": ""} == {
        "id": "event-1",
        "type": "email.sent",
        "verified": True,
        "received_at": "",
    }


def test_it_reads_no_body_that_is_too_large(demo: Demo) -> None:
    body = b"x" * 1_000_001
    try:
        status = outbound.send(
            Request(url=demo.url, body=body, headers=signed(body), timeout=5)
        ).status
    except TemporaryFailure:
        # The answer may be lost when the connection closes before all was sent.
        status = 413

    assert status == 413
    assert not demo.log.exists()


def test_it_speaks_only_tls_and_a_client_that_hangs_delays_no_other(demo: Demo) -> None:
    hanging = socket.create_connection(("127.0.0.1", demo.port))
    plain = socket.create_connection(("127.0.0.1", demo.port))
    with hanging, plain:
        plain.sendall(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
        plain.settimeout(5)
        assert not _read(plain).startswith(b"HTTP")
        response = outbound.send(Request(url=demo.url, body=BODY, headers=signed(), timeout=3))

    assert response.status == 204


def test_a_delivery_of_the_outbox_is_received_and_verified(demo: Demo, cast: Cast) -> None:
    endpoint = make_endpoint(cast.hive, demo.url)
    demo.secret_file.write_text(secret_of(endpoint))
    event = make_event()
    enqueue(cast.hive, event)

    assert deliver() == 1

    [line] = demo.lines()
    assert (line["id"], line["type"], line["verified"]) == (str(event.id), event.type, True)
