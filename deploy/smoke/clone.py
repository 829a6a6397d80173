"""A clean clone of HEAD in a folder of its own, as a newcomer would have it."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.checkout import ROOT, Checkout
from deploy.local.ports import Ports, free_ports

# Settings of the shell that would make the clone something else than a newcomer's.
NOT_INHERITED = ("QUEENSMTP_", "DATABASE_", "REDIS_URL", "PYTHONPATH", "VIRTUAL_ENV", "MAKE")


@dataclass(frozen=True)
class Clone:
    checkout: Checkout
    ports: Ports
    user: str | None = None
    env: dict[str, str] = field(default_factory=dict)

    def popen(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["make", *arguments],
            cwd=self.checkout.root,
            env=self.env,
            user=self.user,
            group=pwd.getpwnam(self.user).pw_gid if self.user else None,
            extra_groups=[] if self.user else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def make(self, *arguments: str) -> tuple[int, str]:
        popen = self.popen(*arguments)
        output, _ = popen.communicate(timeout=300)
        return popen.returncode, output


@contextmanager
def clean_clone(*, user: str | None) -> Iterator[Clone]:
    folder = Path(tempfile.mkdtemp(prefix="queensmtp-smoke-"))
    root = folder / "clone"
    try:
        subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", ROOT, root], check=True)
        # Two smoke runs at once look in different places, or both would find the same free range.
        ports = free_ports(21000 + os.getpid() % 25 * 1000)
        env = {
            name: value for name, value in os.environ.items() if not name.startswith(NOT_INHERITED)
        }
        env["QUEENSMTP_PORT_BASE"] = str(ports.base)
        if user:
            _give_to(user, folder)
            env = {**env, "HOME": str(folder), "PATH": os.defpath, "PYTHON": "/usr/bin/python3"}
        clone = Clone(Checkout(root=root, var=root / "var"), ports, user, env)
        try:
            yield clone
        finally:
            clone.make("down")
            clone.make("reset")  # As root its data may lie outside the clone.
    finally:
        shutil.rmtree(folder)


def _give_to(user: str, folder: Path) -> None:
    owner = pwd.getpwnam(user)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
