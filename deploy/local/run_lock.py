"""One supervisor per checkout: a flock on var/lock, and in the file, who holds it."""

import fcntl
import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from deploy.local.errors import AlreadyRunning, LocalError

# Whoever only looks who runs here holds the lock for an instant.
TRIES = 3
SECONDS_BETWEEN_TRIES = 0.1


@dataclass(frozen=True)
class Holder:
    """Who runs here. The environment lets `make test` use the servers of a running `make up`."""

    pid: int
    command: str
    address: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


class RunLock:
    """Held until the process ends, however it ends; children do not inherit it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        self._descriptor = self._open()
        for _ in range(TRIES):
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(SECONDS_BETWEEN_TRIES)
            else:
                self.tell(Holder(pid=os.getpid(), command="make"))
                return self
        self.__exit__()
        raise AlreadyRunning(_already_running(find_holder(self._path)))

    def __exit__(self, *_: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def tell(self, holder: Holder) -> None:
        assert self._descriptor is not None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps(asdict(holder)).encode(), 0)

    def _open(self) -> int:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError:
            raise LocalError(
                f"{self._path.parent} belongs to another user: run `make` as that user, "
                "or remove it with `make reset` as root"
            ) from None


def find_holder(path: Path) -> Holder | None:
    """The process that holds the lock now, or None."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise LocalError(f"{path} belongs to another user: run `make` as that user") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor)
    finally:
        os.close(descriptor)
    return None


def _read(descriptor: int) -> Holder:
    try:
        return Holder(**json.loads(os.pread(descriptor, 65536, 0)))
    except ValueError:  # The holder is between taking the lock and writing its name.
        return Holder(pid=0, command="make")


def _already_running(holder: Holder | None) -> str:
    if holder is None:
        return "another `make` was just ending here; try again"
    at = f" at {holder.address}" if holder.address else ""
    return (
        f"QueenSMTP is running already: `{holder.command}` with pid {holder.pid}{at}. "
        "Stop it with Ctrl-C there, or with `make down`"
    )
