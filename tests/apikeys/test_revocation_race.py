"""Revocation is instant: of the requests begun after the revoke answer, none succeeds (K7, I7).

The race is run against granian with two processes, as it serves in production: what one process
answered, the other must know.
"""

import http.client
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apikeys import gate, tokens
from apikeys.tokens import Environment
from deploy.local.checkout import ROOT
from queensmtp.tenancy import tenant
from sending.models import Message
from tests.factories.cast import Cast, make_cast, make_domain
from tests.factories.keys import bearer, make_key

MAIL = {"from": "a@hive.example", "to": "ann@wasp.example", "subject": "Hi", "text": "Hi"}
# Of each kind: the first of either may wait for its connection to the database.
BEFORE, AFTER = 20, 300
PATIENCE_SECONDS = 30


@pytest.fixture
def port(transactional_db: None) -> Iterator[int]:
    """granian with two processes, upon the test database, as the role `app`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    options = ("--interface", "asginl", "--workers", "2")
    address = ("--host", "127.0.0.1", "--port", str(number))
    process = subprocess.Popen(
        [sys.executable, "-m", "granian", *options, *address, "queensmtp.asgi:application"],
        cwd=ROOT,
        env={
            **os.environ,
            "QUEENSMTP_MODE": "embedded",
            "QUEENSMTP_PROCESS": "web",
            "DATABASE_URL": _of_test_database(os.environ["DATABASE_URL"]),
            "FAILED_AUTHENTICATIONS_PER_MINUTE": "1000000",
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(lambda: _answers(number), "granian did not start")
        yield number
    finally:
        # granian's processes end with their parent.
        process.terminate()
        process.wait(PATIENCE_SECONDS)


def _of_test_database(url: str) -> str:
    return re.sub(r"/[^/?]+(\?|$)", rf"/{connection.settings_dict['NAME']}\1", url, count=1)


def _answers(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as server:
        try:
            return ask(server, "GET", "/livez") == 200
        except OSError:
            return False


def ask(
    server: http.client.HTTPConnection, method: str, path: str, token: str = "", body: Any = None
) -> int:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    server.request(method, path, orjson.dumps(body) if body else b"", headers)
    response = server.getresponse()
    response.read()
    return response.status


def _wait_for(done: Callable[[], bool], failure: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not done():
        assert time.monotonic() < until, failure
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Call:
    began: float
    status: int


class Callers:
    """Threads that call with one key without a pause, each over a connection of its own."""

    def __init__(self, port: int, token: str, count: int = 8) -> None:
        self.calls: list[Call] = []
        self._port, self._token, self._stop = port, token, threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(place % 2 == 0,)) for place in range(count)
        ]

    def __enter__(self) -> "Callers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, sends: bool) -> None:
        server = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE_SECONDS)
        with closing(server):
            while not self._stop.is_set():
                began = time.monotonic()
                if sends:
                    status = ask(server, "POST", "/v1/emails", self._token, MAIL)
                else:
                    status = ask(server, "GET", "/v1/keys?limit=1", self._token)
                self.calls.append(Call(began, status))

    def fewest(self, *statuses: int) -> int:
        """How many calls ended with the rarest of these."""
        ended = [call.status for call in self.calls]
        return min(ended.count(status) for status in statuses)

    def begun_after(self, moment: float) -> list[Call]:
        return [call for call in self.calls if call.began > moment]


def test_no_request_begun_after_the_revoke_answer_succeeds(port: int) -> None:
    cast = make_cast()
    make_domain(cast.hive, "hive.example")
    key, token = make_key(cast.hive, rate_requests=100_000, rate_per_seconds=1)
    _, admin = make_key(cast.hive)
    server = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)

    with closing(server), Callers(port, token) as callers:
        _wait_for(lambda: callers.fewest(200, 202) >= BEFORE, "the key was not used enough")
        assert ask(server, "DELETE", f"/v1/keys/{key.pk}", admin) == 200
        revoked_at = time.monotonic()
        _wait_for(lambda: len(callers.begun_after(revoked_at)) >= AFTER, "too few came after")

    before = [call.status for call in callers.calls if call.began < revoked_at]
    assert min(before.count(202), before.count(200)) >= BEFORE
    assert {call.status for call in callers.begun_after(revoked_at)} == {401}
    with tenant(cast.hive.pk):
        assert Message.objects.count() == before.count(202)


# --- There is no cache -------------------------------------------------------------------------


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The statements that go past Django's own cursors, as the look-up of a key does."""
    seen: list[str] = []

    class Seen(psycopg.Cursor[Any]):
        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(query)
            return super().execute(query, *args, **kwargs)

    monkeypatch.setattr("queensmtp.hot.psycopg.Cursor", Seen)
    return seen


def test_each_request_reads_its_key_from_the_database_once(
    client: Client, cast: Cast, statements: list[str]
) -> None:
    _, token = make_key(cast.hive)
    for number in range(1, 4):
        assert client.get("/v1/keys?limit=1", headers=bearer(token)).status_code == 200
        assert statements.count(gate.LOOK_UP) == number


def test_a_mistyped_key_asks_the_database_nothing(
    client: Client, cast: Cast, statements: list[str]
) -> None:
    mistyped = tokens.mint(Environment.PRODUCTION).text[:-1] + "!"
    with CaptureQueriesContext(connection) as queries:
        assert client.get("/v1/keys", headers=bearer(mistyped)).status_code == 401

    assert statements == []
    assert queries.captured_queries == []
