"""queensmtp webhooks listen, against a server over TLS that answers from the real API."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import standardwebhooks
from django.db import connection as database
from django.test import Client

from queensmtp.tenancy import tenant
from tests.certificates import Authority
from tests.factories.cast import Cast
from tests.factories.keys import make_key
from tests.factories.webhooks import enqueue, make_endpoint, make_event, secret_of
from tests.http_receiver import HttpReceiver, Received, answer
from tests.sdk_python.command import Ran, python
from webhooks import listening
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def token(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(listening, "SETTLED_SECONDS", -1.0)
    return make_key(cast.hive, scopes=("webhooks:write",))[1]


@pytest.fixture
def api(authority: Authority) -> Iterator[HttpReceiver]:
    """TLS in front of the API, as granian stands in front of it."""
    with HttpReceiver(ask_the_api, certificate=authority.issue("127.0.0.1")) as server:
        yield server


def ask_the_api(connection: socket.socket, received: Received) -> None:
    try:
        response = Client().generic(
            received.method,
            received.path,
            received.body,
            content_type="application/json",
            headers={"Authorization": received.headers.get("authorization", "")},
            secure=True,
        )
    finally:
        database.close()
    answer(response.status_code, response.content)(connection, received)


def listen(
    api: HttpReceiver, authority: Authority, folder: Path, *more: str, token: str = ""
) -> Ran:
    env = {
        "QUEENSMTP_URL": f"https://127.0.0.1:{api.port}/v1",
        "QUEENSMTP_CA": str(authority.ca_file),
        "QUEENSMTP_API_KEY": token,
    }
    return python("-m", "queensmtp", "webhooks", "listen", *more, folder=folder, env=env)


def enqueue_when_it_listens(cast: Cast, api: HttpReceiver) -> threading.Thread:
    def work() -> None:
        try:
            api.wait_for(2, seconds=30)
            enqueue(cast.hive, *[make_event(number=number) for number in range(3)])
        finally:
            database.close()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_events_reach_the_local_port_in_order_and_signed(
    cast: Cast, token: str, api: HttpReceiver, authority: Authority, tmp_path: Path
) -> None:
    secret = secret_of(make_endpoint(cast.hive, "https://hook.example/", events=["email.sent"]))
    thread = enqueue_when_it_listens(cast, api)
    with HttpReceiver(answer(204)) as local:
        ran = listen(
            *(api, authority, tmp_path, "--forward-to", local.url, "--count", "3"), token=token
        )
    thread.join()

    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("→ 204") == 3
    assert [json.loads(one.body)["data"]["number"] for one in local.requests] == [0, 1, 2]
    for one in local.requests:
        standardwebhooks.Webhook(secret).verify(one.body, dict(one.headers))
    assert token not in ran.stdout + ran.stderr
    with tenant(cast.hive.pk):
        assert Endpoint.objects.get(url="").removed_at is not None


def test_a_local_server_that_is_down_is_told_and_ends_nothing(
    cast: Cast, token: str, api: HttpReceiver, authority: Authority, tmp_path: Path
) -> None:
    with HttpReceiver() as down:
        target = down.url
    thread = enqueue_when_it_listens(cast, api)
    ran = listen(*(api, authority, tmp_path, "--forward-to", target, "--count", "3"), token=token)
    thread.join()

    assert ran.returncode == 0
    assert ran.stdout.count("nobody there") == 3


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("http://hook.example/", "not on this machine"),
        ("localhost:3000", "no URL"),
        ("file:///etc/passwd", "no URL"),
    ],
)
def test_events_leave_this_machine_only_encrypted(
    token: str, api: HttpReceiver, authority: Authority, tmp_path: Path, target: str, says: str
) -> None:
    ran = listen(*(api, authority, tmp_path, "--forward-to", target), token=token)
    assert ran.returncode == 2
    assert says in ran.stderr
    assert api.requests == []


def test_a_key_without_the_scope_is_told_so(
    cast: Cast, api: HttpReceiver, authority: Authority, tmp_path: Path
) -> None:
    token = make_key(cast.hive, scopes=("webhooks:read",))[1]
    ran = listen(*(api, authority, tmp_path, "--forward-to", "http://localhost:1/"), token=token)
    assert ran.returncode == 2
    assert "webhooks:write" in ran.stderr
    assert token not in ran.stderr


def test_a_certificate_of_an_unknown_authority_is_told_with_its_mend(
    token: str, api: HttpReceiver, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    ran = listen(*(api, stranger, tmp_path, "--forward-to", "http://localhost:1/"), token=token)
    assert ran.returncode == 2
    assert "QUEENSMTP_CA" in ran.stderr
    assert api.requests == []
