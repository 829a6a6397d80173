"""Programs of Debian that only some tests need: root installs them, anyone else is told how."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.local.errors import LocalError


def is_asked(checkout_root: Path, folder: str, pytest_arguments: Sequence[str]) -> bool:
    """Whether these arguments run the tests of a folder of `tests/`."""
    paths = [part for part in pytest_arguments if part.startswith("tests")]
    wanted = not paths or any(_reaches(part, f"tests/{folder}") for part in paths)
    return wanted and any((checkout_root / "tests" / folder).glob("test_*.py"))


def has(program: str) -> bool:
    return shutil.which(program) is not None


def install(*packages: str, purpose: str) -> None:
    names = " ".join(packages)
    if os.geteuid() != 0:
        raise LocalError(f"{purpose} need {names}: sudo apt-get install {names}")
    print(f"Installing Debian's {names} for {purpose} …", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
    ):
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        if done.returncode:
            raise LocalError(f"`{' '.join(command)}` failed:\n{done.stderr}")


def _reaches(part: str, folder: str) -> bool:
    path = part.partition("::")[0].rstrip("/")
    return path == "tests" or path == folder or path.startswith(f"{folder}/")
