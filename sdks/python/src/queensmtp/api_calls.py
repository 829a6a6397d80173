"""Calls of the API with a key. Keys go to the server that was named, and to no other."""

import json
import ssl
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

TIMEOUT_SECONDS = 30
LARGEST_ANSWER = 64 * 1024 * 1024


class CallFailed(Exception):
    """The server cannot be reached, or does not answer like QueenSMTP; it may later."""


class CallRefused(CallFailed):
    """The server said no. Its text is the server's, which never repeats a key."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        super().__init__(message)


class NoRedirect(HTTPRedirectHandler):
    def redirect_request(self, *arguments: Any, **more: Any) -> None:
        return None


class Api:
    """The API of one server, with one key."""

    def __init__(self, url: str, *, key: str, ca_file: str | None) -> None:
        if urlsplit(url).scheme != "https" or not urlsplit(url).hostname:
            raise CallFailed(f"{url}: give an address that begins with https://")
        try:
            context = ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise CallFailed(f"{ca_file}: {error.strerror or error}") from None
        self._url, self._key = url.rstrip("/"), key
        self._opener = build_opener(HTTPSHandler(context=context), NoRedirect)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The JSON that was answered. Raises CallRefused or CallFailed."""
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._url + path, data, headers, method=method)
        try:
            with self._opener.open(request, timeout=TIMEOUT_SECONDS) as response:
                return json.loads(response.read(LARGEST_ANSWER))
        except HTTPError as error:
            raise CallRefused(error.code, _message(error)) from None
        except (OSError, HTTPException, ValueError) as error:
            raise CallFailed(f"{self._url}: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
        return (
            "nobody whom this machine trusts signed its certificate; if you know who did, "
            "name that authority's file in QUEENSMTP_CA or by --ca"
        )
    return str(error)


def _message(error: HTTPError) -> str:
    try:
        return str(json.loads(error.read(65_536))["message"])
    except (OSError, HTTPException, ValueError, TypeError, KeyError):
        return f"the server answered {error.code}"
