"""A client as it should be: one idempotency key for each message, and again until it is told."""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from urllib.parse import urlsplit

from deploy.chaos.ledger import Ledger

THREADS = 4
TIMEOUT_SECONDS = 30.0
PAUSE_SECONDS = 0.3
GIVE_UP_SECONDS = 180.0


class Refused(Exception):
    """An answer that a sound request must never get."""


class Sender:
    """Sends numbered messages through the API of a demo environment."""

    def __init__(self, demo: Mapping[str, str], ledger: Ledger, *, name: str) -> None:
        self._demo = demo
        self._ledger = ledger
        self._name = name
        self._url = urlsplit(demo["QUEENSMTP_URL"])
        self._trusted = ssl.create_default_context(cafile=demo["QUEENSMTP_CA"])
        self._of_thread = threading.local()
        self._keys = [demo["QUEENSMTP_API_KEY"]]

    def take_turns_with_a_limited_key(self, name: str) -> str:
        """Send every second message with a key that has a quota; its id."""
        wanted = {
            "name": name,
            "environment": "production",
            "scopes": ["email:send"],
            "daily_quota": 1_000_000,
        }
        status, answer = self._call("keys", wanted, {}, key=self._keys[0])
        if status != HTTPStatus.CREATED:
            raise Refused(f"no key was made: {status} {answer}")
        self._keys.append(answer["token"])
        return answer["id"]

    def send_all(
        self, count: int, *, per_second: float, on_progress: Callable[[int], None]
    ) -> None:
        began = time.monotonic()

        def send(number: int) -> None:
            time.sleep(max(0.0, began + number / per_second - time.monotonic()))
            self._send_one(number)

        with ThreadPoolExecutor(THREADS) as threads:
            for number, _ in enumerate(threads.map(send, range(count)), start=1):
                on_progress(number)

    def _send_one(self, number: int) -> None:
        key, ends_at = f"{self._name}-{number}", time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < ends_at:
            self._ledger.trying(key)
            try:
                status, answer = self._post(key, number)
            except (OSError, http.client.HTTPException):
                # Unknown: the same key resolves it.
                self._of_thread.connection = None
            else:
                if status in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
                    self._ledger.told(key, answer["id"])
                    return
                if status < 500 and status not in (HTTPStatus.CONFLICT, 429):
                    raise Refused(f"{key} was answered {status}: {answer}")
            time.sleep(PAUSE_SECONDS)
        raise Refused(f"{key} was not accepted within {GIVE_UP_SECONDS:.0f} s")

    def _post(self, key: str, number: int) -> tuple[int, dict[str, str]]:
        message = {
            "from": self._demo["QUEENSMTP_FROM"],
            "to": f"to-{number}@example.com",
            "subject": key,
            "text": "x" * 1_000,
        }
        api_key = self._keys[number % len(self._keys)]
        return self._call("emails", message, {"Idempotency-Key": key}, key=api_key)

    def _call(
        self, path: str, body: object, headers: Mapping[str, str], *, key: str
    ) -> tuple[int, dict[str, str]]:
        connection = getattr(self._of_thread, "connection", None)
        if connection is None:
            connection = self._of_thread.connection = http.client.HTTPSConnection(
                self._url.netloc, timeout=TIMEOUT_SECONDS, context=self._trusted
            )
        sent = {
            "Authorization": f"Bearer {key}",
            "Content-Type": "application/json",
            **headers,
        }
        connection.request("POST", f"{self._url.path}/{path}", json.dumps(body), sent)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
