"""Reports keys to `POST /v1/leaked-keys`, which revokes those that live."""

import json
import ssl
import time
from collections.abc import Sequence
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

AT_ONCE = 100
TIMEOUT_SECONDS = 30
# The server counts reports by the minute.
LONGEST_WAIT_SECONDS = 60
SOURCE = "queensmtp scan"


class ReportFailed(Exception):
    """Keys were found and could not be reported. Its text names none of them."""


class NoRedirect(HTTPRedirectHandler):
    """Keys go to the server that was named, and to no other."""

    def redirect_request(self, *arguments: Any, **more: Any) -> None:
        return None


def check(url: str) -> None:
    """Refuse an address to which no key may be sent."""
    if urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
        raise ReportFailed(f"{url}: give an address that begins with https://")


def report(tokens: Sequence[str], *, url: str, ca_file: str | None) -> None:
    """Report all of them; ReportFailed when the server does not say that it took them."""
    check(url)
    try:
        opener = build_opener(
            HTTPSHandler(context=ssl.create_default_context(cafile=ca_file)), NoRedirect
        )
    except OSError as error:
        raise ReportFailed(f"{ca_file}: {error.strerror or error}") from None
    for start in range(0, len(tokens), AT_ONCE):
        _send(opener, f"{url.rstrip('/')}/leaked-keys", tokens[start : start + AT_ONCE])


def _send(opener: OpenerDirector, url: str, tokens: Sequence[str]) -> None:
    body = json.dumps({"tokens": tokens, "source": SOURCE}).encode()
    request = Request(url, body, {"Content-Type": "application/json"}, method="POST")
    try:
        answer = _answer(opener, request)
    except HTTPError as error:
        raise ReportFailed(f"{url} answered {error.code}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise ReportFailed(f"{url}: {error}") from None
    if not isinstance(answer, dict) or answer.get("received") != len(tokens):
        raise ReportFailed(f"{url} does not answer like QueenSMTP")


def _answer(opener: OpenerDirector, request: Request) -> Any:
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
            return json.loads(response.read(65_536))
    except HTTPError as error:
        wait = error.headers.get("Retry-After", "")
        if error.code != 429 or not wait.isdigit() or int(wait) > LONGEST_WAIT_SECONDS:
            raise
    time.sleep(int(wait))
    with opener.open(request, timeout=TIMEOUT_SECONDS) as response:
        return json.loads(response.read(65_536))
