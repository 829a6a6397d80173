"""Which user the embedded servers run as, and what that user can reach.

Postgres refuses to run as root, so root drops it (and Valkey) to `nobody`. The user's own
processes are not dropped: they need the checkout, which that user may not be able to read.
"""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.errors import LocalError

DROP_TO = "nobody"


@dataclass(frozen=True)
class ServerUser:
    uid: int
    gid: int

    @property
    def is_us(self) -> bool:
        return self.uid == os.geteuid()

    def popen_arguments(self) -> dict[str, Any]:
        if self.is_us:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_execute(self, path: Path) -> bool:
        """Asked of the kernel, as that user: mode bits alone miss mounts and access lists."""
        asked = subprocess.run(["test", "-x", str(path)], cwd="/", **self.popen_arguments())
        return asked.returncode == 0

    def own(self, folder: Path) -> None:
        """Make the folder this user's own, closed to everybody else."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        if not self.is_us:
            os.chown(folder, self.uid, self.gid)


def ourselves() -> ServerUser:
    return ServerUser(uid=os.geteuid(), gid=os.getegid())


def unprivileged() -> ServerUser:
    if os.geteuid() != 0:
        return ourselves()
    entry = pwd.getpwnam(DROP_TO)
    return ServerUser(uid=entry.pw_uid, gid=entry.pw_gid)


def owner_of(path: Path) -> ServerUser:
    """An existing cluster runs as its owner, whoever typed `make`; it never changes hands."""
    found = path.stat()
    if os.geteuid() not in (0, found.st_uid):
        name = pwd.getpwuid(found.st_uid).pw_name
        raise LocalError(
            f"{path} belongs to the user {name}: run `make` as {name} or as root, "
            "or start afresh with `make reset` as root"
        )
    return ServerUser(uid=found.st_uid, gid=found.st_gid)
