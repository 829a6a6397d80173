"""Start a process so that it cannot outlive us, and stop it with everything that it started."""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.local import process_table
from deploy.local.logs import open_log
from deploy.local.server_user import ServerUser

MARK = "QUEENSMTP_SUPERVISED_BY"
PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.02

libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Child:
    name: str
    popen: "subprocess.Popen[bytes]"
    stop_signal: signal.Signals = signal.SIGTERM

    @property
    def pid(self) -> int:
        return self.popen.pid

    def exit_code(self) -> int | None:
        return self.popen.poll()

    def is_gone(self) -> bool:
        """True when nothing is left of its group: granian's workers outlive their parent."""
        return self.exit_code() is not None and not process_table.members_of_group(self.pid)


def launch(
    name: str,
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path | None,
    user: ServerUser | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
) -> Child:
    """Must be called from the main thread: the death signal fires when the *thread* ends.

    Without a log the child prints to our own terminal.
    """
    with open_log(log) if log else nullcontext() as output:
        popen = subprocess.Popen(
            command,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if log else None,
            # A group of its own: Ctrl-C must reach us alone, or Postgres is down before its users.
            start_new_session=True,
            preexec_fn=_die_with(os.getpid(), stop_signal),
            **(user.popen_arguments() if user else {}),
        )
    return Child(name=name, popen=popen, stop_signal=stop_signal)


def _die_with(parent: int, stop_signal: signal.Signals) -> Callable[[], None]:
    def ask_kernel() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(stop_signal), 0, 0, 0)
        if os.getppid() != parent:  # It died between fork and prctl.
            os._exit(1)

    return ask_kernel


def stop(children: Iterable[Child], *, grace_seconds: float) -> None:
    """All at once: ask, wait, then kill whatever is left of each group."""
    asked = list(children)
    for child in asked:
        if child.exit_code() is None:
            child.popen.send_signal(child.stop_signal)
    wait_until(lambda: all(child.is_gone() for child in asked), seconds=grace_seconds)
    for child in asked:
        kill_group(child.pid)
    wait_until(lambda: all(child.is_gone() for child in asked), seconds=5)


def kill_group(group: int) -> None:
    """The members are looked up first: a group's number is free again once it is empty."""
    if process_table.members_of_group(group):
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def wait_until(happened: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def sweep(mark: str) -> list[int]:
    """End what an earlier supervisor left behind. Only with the lock held: then all are orphans."""
    found = process_table.started_with(MARK, mark)
    for pid in found:
        _signal(pid, signal.SIGTERM)
    wait_until(lambda: not process_table.started_with(MARK, mark), seconds=5)
    for pid in process_table.started_with(MARK, mark):
        _signal(pid, signal.SIGKILL)
    wait_until(lambda: not process_table.started_with(MARK, mark), seconds=5)
    return found


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
