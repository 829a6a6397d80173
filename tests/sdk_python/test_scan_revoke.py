"""queensmtp scan --revoke"""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from django.test import Client

from apikeys import leak_api, tokens
from apikeys.tokens import Environment
from queensmtp import valkey
from tests.certificates import Authority
from tests.factories.cast import Cast
from tests.factories.keys import bearer, make_key
from tests.http_receiver import HttpReceiver, Received, Script, answer
from tests.sdk_python.command import Ran, scan


def takes_them(connection: socket.socket, received: Received) -> None:
    count = len(orjson.loads(received.body)["tokens"])
    answer(200, b'{"object":"leak_report","received":%d}' % count)(connection, received)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    folder = tmp_path / "authority"
    folder.mkdir()
    return Authority(folder)


@pytest.fixture
def files(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "files"
    folder.mkdir()
    yield folder


def revoke(receiver: HttpReceiver, files: Path, authority: Authority, *more: str) -> Ran:
    url = f"https://127.0.0.1:{receiver.port}/v1"
    ca = str(authority.ca_file)
    return scan("--revoke", "--url", url, "--ca", ca, *more, ".", folder=files)


def server(authority: Authority, *scripts: Script) -> HttpReceiver:
    return HttpReceiver(*scripts, certificate=authority.issue("127.0.0.1"))


def keys(count: int) -> list[str]:
    return [tokens.mint(Environment.PRODUCTION).text for _ in range(count)]


def test_what_it_reports_is_revoked(
    client: Client,
    cast: Cast,
    files: Path,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leak_api, "ANSWERED_AFTER_SECONDS", 0.0)
    for bucket in valkey.client().keys("rate:leaked-keys*"):
        valkey.client().delete(bucket)
    _, token = make_key(cast.hive)
    (files / "a.env").write_text(f"{token}\n{token}\n")

    with server(authority, takes_them) as receiver:
        ran = revoke(receiver, files, authority)
    (sent,) = receiver.requests
    response = client.generic(
        sent.method, sent.path, sent.body, content_type=sent.headers["content-type"]
    )

    assert ran.returncode == 1, ran.stderr
    assert ran.stderr == "reported: 1; those that lived are revoked now\n"
    assert response.json() == {"object": "leak_report", "received": 1}
    assert client.get("/v1/keys", headers=bearer(token)).status_code == 401


def test_reports_many_in_parts(files: Path, authority: Authority) -> None:
    (files / "many").write_text("\n".join(keys(230)))

    with server(authority, takes_them) as receiver:
        ran = revoke(receiver, files, authority, "--json")

    assert json.loads(ran.stdout)["reported"] == 230
    sent = [len(orjson.loads(one.body)["tokens"]) for one in receiver.requests]
    assert sent == [100, 100, 30]


def test_asks_nobody_where_there_is_nothing_to_report(files: Path, authority: Authority) -> None:
    with server(authority) as receiver:
        ran = revoke(receiver, files, authority)

    assert (ran.returncode, receiver.requests) == (0, [])


def test_waits_as_long_as_it_is_told_to(files: Path, authority: Authority) -> None:
    (files / "a").write_text(keys(1)[0])
    busy = answer(429, b"{}", {"Retry-After": "1"})

    with server(authority, busy, takes_them) as receiver:
        ran = revoke(receiver, files, authority)

    assert ran.returncode == 1, ran.stderr
    assert receiver.requests[1].at - receiver.requests[0].at >= 0.9


@pytest.mark.parametrize(
    "script",
    [
        answer(500),
        answer(429, b"{}", {"Retry-After": "3600"}),
        answer(302, b"", {"Location": "/elsewhere"}),
        answer(200, b"<html>"),
        answer(200, b'{"object":"leak_report","received":0}'),
    ],
    ids=["500", "429", "302", "no JSON", "another count"],
)
def test_a_report_that_was_not_taken_is_2_and_names_no_key(
    files: Path, authority: Authority, script: Script
) -> None:
    (files / "a").write_text(keys(1)[0])

    with server(authority, script) as receiver:
        ran = revoke(receiver, files, authority)

    assert ran.returncode == 2
    assert len(receiver.requests) == 1
    assert "nothing is known to be revoked" in ran.stderr
    assert (files / "a").read_text()[20:] not in ran.stdout + ran.stderr


def test_sends_no_key_to_a_server_it_cannot_trust(files: Path, authority: Authority) -> None:
    (files / "a").write_text(keys(1)[0])

    with server(authority, takes_them) as receiver:
        url = f"https://127.0.0.1:{receiver.port}/v1"
        ran = scan("--revoke", ".", folder=files, env={"QUEENSMTP_URL": url})

    assert ran.returncode == 2
    assert receiver.requests == []
    assert "certificate" in ran.stderr.lower()


def test_an_authority_that_is_not_there_is_2(files: Path, authority: Authority) -> None:
    (files / "a").write_text(keys(1)[0])
    authority.ca_file.unlink()

    with server(authority) as receiver:
        assert revoke(receiver, files, authority).returncode == 2
