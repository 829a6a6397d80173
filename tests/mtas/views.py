"""A mail server with a view of the file system of its own.

Each of them insists on a user of its name and on folders outside of ours. In a mount namespace it
finds them, and the machine keeps its own.
"""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local.errors import LocalError

USERS = {"Debian-exim": 64_991, "opensmtpd": 64_992, "opensmtpq": 64_993}
# Emptied in the view; what stands in them belongs to the machine.
EMPTIED = ("/run", "/var/spool", "/var/lib")


@contextmanager
def started(command: Sequence[str], *, folder: Path, prepare: Sequence[str] = ()) -> Iterator[None]:
    """Run a command in the foreground of a view, after some lines of shell; its output is in
    `folder`."""
    if os.geteuid() != 0:
        raise LocalError("The checks with foreign mail servers run as root: sudo make mtas")
    script = folder / "view.sh"
    script.write_text("\n".join([*_view(folder), *prepare, f"exec {shlex.join(command)}", ""]))
    with (folder / "output").open("wb") as output:
        popen = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", str(script)],
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(popen.pid, signal.SIGTERM)
            popen.wait(10)
            # Children in groups of their own end with it, or when they find it gone.
            time.sleep(0.2)


def _view(folder: Path) -> Iterator[str]:
    yield "set -e"
    for name, line in (
        ("passwd", "{name}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n"),
        ("group", "{name}:x:{number}:\n"),
    ):
        lines = [line.format(name=user, number=number) for user, number in USERS.items()]
        copy = folder / name
        copy.write_text(Path(f"/etc/{name}").read_text() + "".join(lines))
        copy.chmod(0o644)
        yield f"mount --bind {copy} /etc/{name}"
    for emptied in EMPTIED:
        yield f"mount -t tmpfs tmpfs {emptied}"
