"""Keep processes running: start them, report and restart what falls, stop them in order."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.local import children
from deploy.local.children import Child
from deploy.local.errors import LocalError
from deploy.local.logs import keep_small, last_lines

FIRST_RESTART_SECONDS = 1.0
SLOWEST_RESTART_SECONDS = 30.0
# One that ran this long has recovered: its next fall is a new story.
STEADY_SECONDS = 60.0
GRACE_SECONDS = 10.0
LOG_CHECK_SECONDS = 30.0


@dataclass
class Watched:
    """One process and its history. `start` may be called again after each fall."""

    name: str
    start: Callable[[], Child]
    log: Path
    child: Child | None = None
    started_at: float = 0.0
    falls: int = 0
    restart_at: float = 0.0


class Supervisor:
    """Single-threaded: the kernel's death signal is bound to the thread that started a child."""

    def __init__(self, *, say: Callable[[str], None]) -> None:
        self._say = say
        self._watched: list[Watched] = []
        self._logs_checked_at = time.monotonic()

    def add(self, name: str, start: Callable[[], Child], *, log: Path) -> None:
        """Start it now. What is added first is stopped last."""
        watched = Watched(name=name, start=start, log=log)
        self._watched.append(watched)
        self._start(watched)

    def tick(self) -> None:
        """Look once at every process. Called a few times a second."""
        now = time.monotonic()
        for watched in self._watched:
            if watched.child is not None and watched.child.exit_code() is not None:
                self._note_fall(watched, watched.child, now=now)
            elif watched.child is None and now >= watched.restart_at:
                self._restart(watched)
        if now - self._logs_checked_at > LOG_CHECK_SECONDS:
            self._logs_checked_at = now
            for watched in self._watched:
                keep_small(watched.log)

    def has_fallen(self) -> list[str]:
        return [watched.name for watched in self._watched if watched.child is None]

    def stop(self, *, last: Sequence[str] = ()) -> None:
        """Everything at once, then those named in `last`, one by one in that order."""
        running = {watched.name: watched.child for watched in self._watched if watched.child}
        first = [child for name, child in running.items() if name not in last]
        children.stop(first, grace_seconds=GRACE_SECONDS)
        for name in last:
            if name in running:
                children.stop([running[name]], grace_seconds=GRACE_SECONDS)
        self._watched.clear()

    def _start(self, watched: Watched) -> None:
        watched.child = watched.start()
        watched.started_at = time.monotonic()

    def _note_fall(self, watched: Watched, child: Child, *, now: float) -> None:
        children.kill_group(child.pid)  # granian's workers would go on serving the port.
        if now - watched.started_at > STEADY_SECONDS:
            watched.falls = 0
        watched.child = None
        delay = delay_after(watched.falls)
        watched.falls += 1
        watched.restart_at = now + delay
        told = "".join(f"\n      {line}" for line in last_lines(watched.log, 2))
        self._say(
            f"{watched.name} ended ({ending_of(child)}); starting it again in {delay:.0f} s; "
            f"its log is {watched.log}{told}"
        )

    def _restart(self, watched: Watched) -> None:
        try:
            self._start(watched)
        except LocalError as error:
            watched.restart_at = time.monotonic() + delay_after(watched.falls)
            watched.falls += 1
            self._say(f"{watched.name} could not start again: {error}")
        else:
            self._say(f"{watched.name} is running again")


def delay_after(falls: int) -> float:
    return min(FIRST_RESTART_SECONDS * (1 << min(falls, 10)), SLOWEST_RESTART_SECONDS)


def ending_of(child: Child) -> str:
    code = child.exit_code()
    return f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
