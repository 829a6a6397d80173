"""Mail servers of Debian that may not be installed beside each other: unpacked, not installed."""

import os
import subprocess
from pathlib import Path

from deploy.local.errors import LocalError

FOLDER = Path(__file__).parents[2] / "var" / "mtas"


def unpacked(package: str) -> Path:
    """The folder that holds the files of a package, downloaded when it is not there yet."""
    folder = FOLDER / package
    if not folder.exists():
        archive, partial = _downloaded(package), FOLDER / f"{package}.partial"
        _run("dpkg", "-x", str(archive), str(partial))
        partial.rename(folder)
        archive.unlink()
    return folder


def _downloaded(package: str) -> Path:
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        _download(package)
    except LocalError:
        # The lists of packages are missing or older than the mirror.
        if os.geteuid() != 0:
            raise
        _run("apt-get", "update", "-qq")
        _download(package)
    return next(FOLDER.glob(f"{package}_*.deb"))


def _download(package: str) -> None:
    _run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package)


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True)
    if done.returncode:
        raise LocalError(f"`{' '.join(command)}` failed:\n{done.stderr}")
