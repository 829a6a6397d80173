"""What the client asked for and what it was told, on disk before each call."""

import json
import os
import threading
from pathlib import Path


class Ledger:
    """One line for each step, written and synced before the step is taken."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8")
        self._lock = threading.Lock()
        self.accepted: dict[str, str] = {}
        self.tries_count = 0

    def trying(self, key: str) -> None:
        with self._lock:
            self.tries_count += 1
            self._write({"key": key})

    def told(self, key: str, email_id: str) -> None:
        """The same key must always be answered with the same id."""
        with self._lock:
            self._write({"key": key, "id": email_id})
            before = self.accepted.setdefault(key, email_id)
        if before != email_id:
            raise AssertionError(f"{key} was answered with {before} and with {email_id}")

    def close(self) -> None:
        self._file.close()

    def _write(self, line: dict[str, str]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())
