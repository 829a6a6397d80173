"""The WSGI application that granian serves."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "queensmtp.settings")

_django = get_wsgi_application()


DRAINED_BYTES = 256 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django, with header values stripped: over HTTP/2 a client may drop one that begins with
    the space that Django puts into Set-Cookie."""

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        if status >= "400":
            _drain(environ["wsgi.input"])
        return start_response(status, [(name, value.strip()) for name, value in headers], *rest)

    return _django(environ, start)


def _drain(body: Any) -> None:
    """Read what a refused request still sends: over HTTP/2 a client whose upload is cut off
    never sees the answer that says why. Bounded, since nobody has to be listened to for ever."""
    left = DRAINED_BYTES
    while left > 0 and (chunk := body.read(CHUNK_BYTES)):
        left -= len(chunk)
