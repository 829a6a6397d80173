"""The application that granian serves: whole requests, handed to Django's few threads.

A thread that waits for a body is held by whoever sends it, and eight slow senders would hold
them all. So the event loop waits, and gives a body only so long; a thread sees complete requests.

Django stays synchronous (`queensmtp.wsgi`): nothing here knows it but as a WSGI application.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from tempfile import SpooledTemporaryFile
from typing import IO, Any
from wsgiref.types import WSGIEnvironment

import orjson
from django.conf import settings

from queensmtp.errors import RequestTimedOut, body_of
from queensmtp.ids import new_id
from queensmtp.together import Desk, Done, Elsewhere, settle
from queensmtp.wsgi import application as django

# Each holds a database connection.
THREADS = 4
# From one piece of a body to the next, and for all of it.
PIECE_SECONDS, BODY_SECONDS = 10.0, 300.0
# What is larger waits on the disk for its thread.
IN_MEMORY_BYTES = 1024 * 1024
# A client that is cut off never sees the answer that says why; nobody is listened to for ever.
TAKEN_AT_MOST_BYTES = 256 * 1024 * 1024
# Django refuses what is larger than REQUEST_MAX_BYTES, by its length and unread.
KEPT_AT_MOST_BYTES = settings.DATA_UPLOAD_MAX_MEMORY_SIZE

SENDS_ONE = ("POST", "/v1/emails")
# What takes long to read and to encrypt must not keep others waiting.
IN_A_GROUP_AT_MOST_BYTES = 128 * 1024
GROUP_AT_MOST = 64

TOO_SLOW_HEADERS = [(b"connection", b"close"), (b"content-type", b"application/json")]

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="django")
# Files that are on their way to slow readers hold none of Django's threads.
_file_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="files")


class _File:
    """PEP 3333's file wrapper: an answer that is read from the disk while it is sent."""

    def __init__(self, file: IO[bytes], piece_bytes: int = 64 * 1024) -> None:
        self._file, self._piece_bytes = file, piece_bytes

    def __iter__(self) -> Iterator[bytes]:
        while piece := self.read():
            yield piece

    def read(self) -> bytes:
        return self._file.read(self._piece_bytes)

    def close(self) -> None:
        self._file.close()


class _ClientLeft(Exception):
    """There is nobody to answer."""


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """One request; granian is told to ask for no lifespan."""
    with SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as body:
        try:
            size = await _take_body(receive, body)
        except TimeoutError:
            await _send(send, RequestTimedOut.status, TOO_SLOW_HEADERS, _too_slow())
            return
        except _ClientLeft:
            return
        environ = _environ(scope, body, size)
        status, headers, content = await _answered(environ, size)
        is_head = scope["method"] == "HEAD"
        if isinstance(content, _File):
            await _send_file(send, status, headers, content, is_head=is_head)
        else:
            await _send(send, status, headers, content, is_head=is_head)


async def _take_body(receive: Receive, body: SpooledTemporaryFile[bytes]) -> int:
    """Keep the body; how large it was. What no gate would take is counted and dropped."""
    size, clock = 0, asyncio.get_running_loop().time
    ends_at = clock() + BODY_SECONDS
    async with asyncio.timeout(PIECE_SECONDS) as patience:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _ClientLeft
            piece = message.get("body", b"")
            size += len(piece)
            if size <= KEPT_AT_MOST_BYTES:
                body.write(piece)
            if not message.get("more_body") or size > TAKEN_AT_MOST_BYTES:
                body.seek(0)
                return size
            patience.reschedule(min(clock() + PIECE_SECONDS, ends_at))


def _too_slow() -> bytes:
    return orjson.dumps(body_of(RequestTimedOut(), request_id=str(new_id())))


async def _answered(environ: WSGIEnvironment, size: int) -> tuple[int, Headers, "bytes | _File"]:
    """By one of Django's threads. What sends one e-mail is answered together with its like."""
    loop = asyncio.get_running_loop()
    asked = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    if asked == SENDS_ONE and size <= IN_A_GROUP_AT_MOST_BYTES:
        future: asyncio.Future[tuple[int, Headers, bytes | _File]] = loop.create_future()
        _desk.submit(lambda: _answer(environ), future)
        try:
            return await future
        except Elsewhere:
            environ["wsgi.input"].seek(0)
    return await loop.run_in_executor(_threads, _answer, environ)


def _hand_over(many: Sequence[Done]) -> None:
    """Wake the event loop once for all of them."""
    first = many[0].future
    assert isinstance(first, asyncio.Future)
    first.get_loop().call_soon_threadsafe(settle, many)


_desk = Desk("sends", at_once=GROUP_AT_MOST, hand_over=_hand_over)


def _environ(scope: Message, body: SpooledTemporaryFile[bytes], size: int) -> WSGIEnvironment:
    """PEP 3333. A length is ours, whatever was declared."""
    server, client = scope["server"], scope.get("client")
    return {
        **_header_variables(scope["headers"]),
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8", "surrogateescape").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0] if client else "",
        "CONTENT_LENGTH": str(size),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": _File,
    }


def _header_variables(headers: Headers) -> Mapping[str, str]:
    """One variable for each name. A name with an underscore would pass itself off as another's:
    `X_Forwarded_For`, which no proxy takes away, as X-Forwarded-For."""
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if "_" in name or name in ("content-length", "transfer-encoding"):
            continue
        variable = name.upper().replace("-", "_")
        if variable != "CONTENT_TYPE":
            variable = f"HTTP_{variable}"
        between = "; " if name == "cookie" else ","
        found[variable] = f"{found[variable]}{between}{value}" if variable in found else value
    return found


def _answer(environ: WSGIEnvironment) -> tuple[int, Headers, bytes | _File]:
    """Django's answer, in a thread: whole, or a file that is yet to be read."""
    started: list[tuple[int, Headers]] = []

    def start(status: str, headers: list[tuple[str, str]], *_: Any) -> None:
        named = [(one.lower().encode("latin-1"), two.encode("latin-1")) for one, two in headers]
        started[:] = [(int(status[:3]), named)]

    pieces = django(environ, start)
    if isinstance(pieces, _File):
        return *started[0], pieces
    try:
        content = b"".join(pieces)
    finally:
        if hasattr(pieces, "close"):
            pieces.close()
    return *started[0], content


async def _send(
    send: Send, status: int, headers: Headers, content: bytes, *, is_head: bool = False
) -> None:
    """Over HTTP/2 a content that follows a HEAD breaks the stream."""
    if not any(name == b"content-length" for name, _ in headers):
        headers = [*headers, (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": int(status), "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else content})


async def _send_file(
    send: Send, status: int, headers: Headers, file: _File, *, is_head: bool
) -> None:
    """A piece at a time: `send` waits for a slow reader, and nothing more is read meanwhile."""
    loop = asyncio.get_running_loop()
    try:
        await send({"type": "http.response.start", "status": int(status), "headers": headers})
        while not is_head and (piece := await loop.run_in_executor(_file_threads, file.read)):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await loop.run_in_executor(_file_threads, file.close)
