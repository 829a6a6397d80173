"""The clients of others that tests/clients runs: npm packages from a hashed lock, and swaks."""

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.local import system_packages
from deploy.local.errors import LocalError

FOLDER = Path("tests") / "clients" / "node"
PURPOSE = "the tests with foreign clients"


def ensure(checkout_root: Path, pytest_arguments: Sequence[str]) -> None:
    if not system_packages.is_asked(checkout_root, "clients", pytest_arguments):
        return
    if not system_packages.has("swaks") or not _perl_speaks_tls():
        system_packages.install("swaks", "libnet-ssleay-perl", purpose=PURPOSE)
    if not system_packages.has("npm"):
        system_packages.install("nodejs", "npm", purpose=PURPOSE)
    _install(checkout_root / FOLDER)


def _perl_speaks_tls() -> bool:
    return subprocess.run(["perl", "-MNet::SSLeay", "-e1"], capture_output=True).returncode == 0


def _install(folder: Path) -> None:
    """What the lock says, when it has changed since the last time."""
    lock = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / ".lock-sha256"
    if stamp.exists() and stamp.read_text() == lock:
        return
    print("Installing the npm packages of tests/clients …", flush=True)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise LocalError(f"`{' '.join(command)}` failed in {FOLDER}:\n{done.stderr}")
    stamp.write_text(lock)
