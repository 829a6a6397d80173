"""The browser that tests/browser drives is Debian's Chromium, installed when it is missing."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.local.errors import LocalError

PROGRAM = "chromium"


def ensure(checkout_root: Path, pytest_arguments: Sequence[str]) -> None:
    if not _is_needed(checkout_root, pytest_arguments) or shutil.which(PROGRAM):
        return
    if os.geteuid() != 0:
        raise LocalError(f"the browser tests need Chromium: sudo apt-get install {PROGRAM}")
    print("Installing Debian's Chromium for the browser tests …", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", PROGRAM],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        if done.returncode:
            raise LocalError(f"`{' '.join(command)}` failed:\n{done.stderr}")


def _is_needed(checkout_root: Path, pytest_arguments: Sequence[str]) -> bool:
    """Not when only other tests were asked for."""
    paths = [part for part in pytest_arguments if part.startswith("tests/")]
    is_asked = not paths or any(part.startswith("tests/browser") for part in paths)
    return is_asked and any((checkout_root / "tests" / "browser").glob("test_*.py"))
