import os
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from deploy.local import process_table
from deploy.local.children import Child, launch
from deploy.local.errors import ServerFailed
from deploy.local.logs import LARGEST_BYTES, keep_small
from deploy.local.supervisor import SLOWEST_RESTART_SECONDS, Supervisor, delay_after

Said = list[str]


@pytest.fixture
def said() -> Said:
    return []


@pytest.fixture
def supervisor(said: Said) -> Iterator[Supervisor]:
    supervisor = Supervisor(say=said.append)
    yield supervisor
    supervisor.stop()


def test_a_crash_is_reported_with_its_log_and_restarted(
    supervisor: Supervisor, said: Said, tmp_path: Path
) -> None:
    log = tmp_path / "web.log"
    started = watch(supervisor, "echo it is going wrong; exec sleep 60", log)
    wait(supervisor, lambda: log.exists() and "wrong" in log.read_text())
    os.kill(started[0].pid, signal.SIGKILL)
    wait(supervisor, lambda: len(said) == 2)
    assert "web ended (killed by signal 9); starting it again in 1 s" in said[0]
    assert str(log) in said[0]
    assert "it is going wrong" in said[0]
    assert said[1] == "web is running again"
    assert started[1].exit_code() is None


def test_each_fall_in_a_row_waits_longer() -> None:
    delays = [delay_after(falls) for falls in range(8)]
    assert delays == [1, 2, 4, 8, 16, 30, 30, 30]
    assert delay_after(10_000) == SLOWEST_RESTART_SECONDS


def test_the_workers_of_a_fallen_parent_fall_too(
    supervisor: Supervisor, said: Said, tmp_path: Path
) -> None:
    log = tmp_path / "web.log"
    watch(supervisor, "sleep 60 & echo $!; exit 1", log)
    wait(supervisor, lambda: len(said) == 1)
    worker = int(log.read_text())
    wait(supervisor, lambda: not process_table.is_running(worker))


def test_a_server_that_cannot_start_again_is_tried_again(
    supervisor: Supervisor, said: Said, tmp_path: Path
) -> None:
    starts = [lambda: sleeper("exit 3", tmp_path / "log"), refuse]
    supervisor.add("postgres", lambda: starts.pop(0)(), log=tmp_path / "log")
    wait(supervisor, lambda: len(said) == 2)
    assert "postgres could not start again: the disk is full" in said[1]


def test_what_is_named_last_is_stopped_last(said: Said, tmp_path: Path) -> None:
    supervisor = Supervisor(say=said.append)
    for name in ("postgres", "web"):
        script = (
            f"trap 'echo {name} >> order; exit' TERM; echo {name} up; while :; do sleep 0.01; done"
        )
        log = tmp_path / f"{name}.log"
        watch(supervisor, script, log, name=name)
        wait(supervisor, partial(has_said, log, "up"))
    supervisor.stop(last=["postgres"])
    assert (tmp_path / "order").read_text().split() == ["web", "postgres"]


def test_a_log_is_kept_small_under_the_process_that_writes_it(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with log.open("ab") as writer:
        writer.write(b"x" * (LARGEST_BYTES + 1))
        writer.flush()
        keep_small(log)
        writer.write(b"after")
    assert log.read_bytes() == b"after"
    assert (tmp_path / "web.log.1").stat().st_size == LARGEST_BYTES + 1


def watch(supervisor: Supervisor, script: str, log: Path, *, name: str = "web") -> list[Child]:
    started: list[Child] = []

    def start() -> Child:
        started.append(sleeper(script, log))
        return started[-1]

    supervisor.add(name, start, log=log)
    return started


def sleeper(script: str, log: Path) -> Child:
    env = {"PATH": os.environ["PATH"]}
    return launch("web", ["sh", "-c", script], env=env, cwd=log.parent, log=log)


def refuse() -> Child:
    raise ServerFailed("the disk is full")


def has_said(log: Path, word: str) -> bool:
    return log.exists() and word in log.read_text()


def wait(supervisor: Supervisor, happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        supervisor.tick()
        time.sleep(0.01)
