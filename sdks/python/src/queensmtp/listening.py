"""Fetches the events of an account as they come, and hands them to a server on this machine."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from queensmtp.api_calls import Api, CallFailed, CallRefused

LOOPBACK = ("localhost", "127.0.0.1", "::1")
QUICK_SECONDS, IDLE_SECONDS = 1.0, 3.0
LONGEST_PAUSE_SECONDS = 30.0
FORWARD_SECONDS = 30
NOT_FOUND = 404


@dataclass(frozen=True)
class Event:
    id: str
    type: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Forwarded:
    """What the local server said; `status` is None when nobody was there."""

    event: Event
    status: int | None
    seconds: float


class Listener:
    """A listener on the server, made anew when it has ended there."""

    def __init__(self, api: Api, events: Sequence[str], *, tell: Callable[[str], None]) -> None:
        self._api, self._events, self._tell = api, list(events), tell
        self._id: str | None = None

    def start(self) -> None:
        body: dict[str, Any] = {"events": self._events} if self._events else {}
        self._id = str(self._api.call("POST", "/webhooks/listeners", body)["id"])

    def stop(self) -> None:
        if self._id is not None:
            self._api.call("DELETE", f"/webhooks/listeners/{self._id}")
            self._id = None

    def events(self, *, sleep: Callable[[float], None] = time.sleep) -> Iterator[Event]:
        """Every event once, in order, for ever. Raises CallRefused when waiting will not help."""
        after, pause = "", QUICK_SECONDS
        while True:
            try:
                page = self._fetch(after)
            except CallRefused as refusal:
                if refusal.status < 500 and refusal.status not in (NOT_FOUND, 429):
                    raise
                if refusal.status == NOT_FOUND:
                    self._tell("the listener had ended; beginning anew, some events may be missed")
                    after = ""
                    self.start()
                page = None
            except CallFailed as failure:
                self._tell(f"{failure}; trying again")
                page = None
            if page is None:
                sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
                continue
            for one in page["data"]:
                after = str(one["id"])
                yield Event(after, str(one["type"]), dict(one["headers"]), one["body"].encode())
            pause = QUICK_SECONDS if page["data"] else min(pause + 0.5, IDLE_SECONDS)
            if not page["has_more"]:
                sleep(pause)

    def _fetch(self, after: str) -> Any:
        query = f"?after={after}" if after else ""
        return self._api.call("GET", f"/webhooks/listeners/{self._id}/events{query}")


def check_target(url: str) -> None:
    """Mail's metadata leaves this machine only encrypted."""
    parts = urlsplit(url)
    is_local = parts.hostname in LOOPBACK
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise ValueError(f"{url} is no URL; give one like http://localhost:3000/hook.")
    if parts.scheme == "http" and not is_local:
        raise ValueError(f"{url} is not on this machine; use https:// there.")


def forward(event: Event, url: str) -> Forwarded:
    """One POST, as we would have made it; a server that is down is an answer too."""
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=FORWARD_SECONDS)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    started = time.monotonic()
    try:
        connection.request("POST", target, event.body, event.headers)
        status: int | None = connection.getresponse().status
    except (OSError, HTTPException):
        status = None
    finally:
        connection.close()
    return Forwarded(event, status, time.monotonic() - started)
