"""Django as a WSGI application; granian serves it through `queensmtp.asgi`."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "queensmtp.settings")

_django = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django, with header values stripped: over HTTP/2 a client may drop one that begins with
    the space that Django puts into Set-Cookie."""

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        return start_response(status, [(name, value.strip()) for name, value in headers], *rest)

    return _django(environ, start)
