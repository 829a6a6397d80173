"""Who sends slowly holds a socket and no thread; names and lengths are what we read, not told."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from queensmtp import asgi, together

Message = dict[str, Any]


def scope(**changes: Any) -> Message:
    return {
        "type": "http",
        "http_version": "1.1",
        "scheme": "https",
        "method": "POST",
        "path": "/v1/nothing",
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
        "server": ("127.0.0.1", 8443),
        "client": ("203.0.113.7", 50_000),
        **changes,
    }


async def converse(request: Message, pieces: list[bytes], *, ends: bool = True) -> list[Message]:
    """What is sent for a request whose body comes in these pieces, and may never end."""
    waiting = [{"type": "http.request", "body": one, "more_body": True} for one in pieces]
    if ends:
        waiting.append({"type": "http.request", "body": b"", "more_body": False})
    sent: list[Message] = []

    async def receive() -> Message:
        if not waiting:
            await asyncio.Event().wait()
        return waiting.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    await asgi.application(request, receive, send)
    return sent


def environ_of(headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    return dict(asgi._header_variables(headers))


@pytest.mark.django_db
def test_slow_senders_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "PIECE_SECONDS", 6.0)

    async def crowd() -> tuple[list[Message], list[list[Message]]]:
        slow = [asyncio.create_task(converse(scope(), [b"{"], ends=False)) for _ in range(50)]
        await asyncio.sleep(0)
        quick = await asyncio.wait_for(converse(scope(method="GET", path="/livez"), []), 5.0)
        return quick, list(await asyncio.gather(*slow))

    quick, slow = asyncio.run(crowd())

    assert quick[0]["status"] == 200
    assert {answer[0]["status"] for answer in slow} == {408}


def test_the_whole_body_has_its_deadline_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi, "PIECE_SECONDS", 0.5)
    monkeypatch.setattr(asgi, "BODY_SECONDS", 0.2)

    sent = asyncio.run(converse(scope(), [b"a"], ends=False))

    assert sent[0]["status"] == json.loads(sent[1]["body"])["statusCode"] == 408


def test_a_name_with_an_underscore_is_nobodys() -> None:
    found = environ_of(
        [
            (b"x-forwarded-for", b"203.0.113.9"),
            (b"x_forwarded_for", b"10.0.0.1"),
            (b"x-forwarded-for", b"198.51.100.1"),
        ]
    )

    assert found == {"HTTP_X_FORWARDED_FOR": "203.0.113.9,198.51.100.1"}


@pytest.mark.django_db
def test_a_body_without_a_declared_length_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[str, bytes]] = []

    def django(environ: Any, start: Callable[..., object]) -> list[bytes]:
        taken.append((environ["CONTENT_LENGTH"], environ["wsgi.input"].read()))
        start("200 OK", [])
        return [b"{}"]

    monkeypatch.setattr(asgi, "django", django)
    declared = [(b"content-length", b"3"), (b"transfer-encoding", b"chunked")]

    asyncio.run(converse(scope(headers=declared), [b"ab" * 1_000_000, b"c"]))

    assert taken == [("2000001", b"ab" * 1_000_000 + b"c")]


def test_what_would_keep_others_waiting_is_begun_anew_in_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[bytes] = []

    def django(environ: Any, start: Callable[..., object]) -> list[bytes]:
        taken.append(environ["wsgi.input"].read())
        together.leave()
        start("200 OK", [])
        return [b"{}"]

    monkeypatch.setattr(asgi, "django", django)

    sent = asyncio.run(converse(scope(path="/v1/emails"), [b"ab"]))

    assert sent[0]["status"] == 200
    assert taken == [b"ab", b"ab"]


@pytest.mark.django_db
def test_a_body_beyond_the_limit_is_dropped_and_refused(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "KEPT_AT_MOST_BYTES", 10)
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10

    sent = asyncio.run(converse(scope(path="/v1/emails"), [b"x" * 8, b"x" * 8]))

    assert sent[0]["status"] == 401
    assert json.loads(sent[1]["body"])["name"] == "missing_api_key"


@pytest.mark.django_db
def test_a_head_is_answered_without_content() -> None:
    sent = asyncio.run(converse(scope(method="HEAD", path="/livez"), []))

    assert dict(sent[0]["headers"])[b"content-length"] != b"0"
    assert sent[1]["body"] == b""
