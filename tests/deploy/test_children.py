import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from deploy.local import children, process_table
from deploy.local.checkout import ROOT
from deploy.local.children import MARK, Child, launch, wait_until

PARENT_THAT_WAITS = textwrap.dedent(
    """
    import sys, time
    from pathlib import Path
    from deploy.local.children import launch
    child = launch("sleeper", ["sleep", "60"], env={}, cwd=Path("/"), log=Path(sys.argv[1]))
    print(child.pid, flush=True)
    time.sleep(60)
    """
)


def test_a_child_ends_when_we_are_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT_THAT_WAITS, str(tmp_path / "log")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert process_table.is_running(child)
        parent.kill()
    assert wait_until(lambda: not process_table.is_running(child), seconds=5)


def test_stopping_takes_the_grandchildren_along(tmp_path: Path) -> None:
    child = shell("trap '' TERM; sleep 60 & echo started; wait; sleep 60", tmp_path)
    assert wait_until(lambda: "started" in (tmp_path / "log").read_text(), seconds=5)
    assert len(process_table.members_of_group(child.pid)) == 2
    children.stop([child], grace_seconds=0.2)
    assert process_table.members_of_group(child.pid) == []


def test_a_zombie_is_not_running() -> None:
    with subprocess.Popen(["true"]) as popen:
        assert wait_until(lambda: not process_table.is_running(popen.pid), seconds=5)
        os.kill(popen.pid, 0)  # The kernel still knows it.


def test_a_sweep_ends_marked_processes_and_no_others(tmp_path: Path) -> None:
    ours = shell("sleep 60", tmp_path, mark="a-test-of-ours")
    other = shell("sleep 60", tmp_path, mark="another-checkout")
    try:
        assert ours.pid in children.sweep("a-test-of-ours")
        assert ours.exit_code() == -signal.SIGTERM
        assert other.exit_code() is None
    finally:
        children.stop([ours, other], grace_seconds=1)


def test_a_child_never_reads_our_terminal(tmp_path: Path) -> None:
    terminal, ours = os.dup(0), os.pipe()
    os.dup2(ours[0], 0)  # Open and silent, as a terminal is.
    try:
        child = shell("read line || echo nothing to read", tmp_path)
        child.popen.wait(timeout=5)
    finally:
        os.dup2(terminal, 0)
        for descriptor in (terminal, *ours):
            os.close(descriptor)
    assert (tmp_path / "log").read_text() == "nothing to read\n"


def shell(script: str, folder: Path, *, mark: str = "test") -> Child:
    env = {"PATH": os.environ["PATH"], MARK: mark}
    return launch("shell", ["sh", "-c", script], env=env, cwd=folder, log=folder / "log")
