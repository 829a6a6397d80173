"""Runs the command line of `sdks/python` as its user does: in a process of its own.

Its package is called `queensmtp`, as ours is, so the two never meet in one interpreter.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.checkout import ROOT

SOURCE = ROOT / "sdks" / "python" / "src"
NOT_HANDED_ON = ("QUEENSMTP_URL", "QUEENSMTP_CA", "QUEENSMTP_API_KEY")

Ran = subprocess.CompletedProcess[str]


def scan(*arguments: str | Path, folder: Path, env: Mapping[str, str] | None = None) -> Ran:
    """`queensmtp scan …`, begun in a folder."""
    return python("-m", "queensmtp", "scan", *map(str, arguments), folder=folder, env=env)


def python(*arguments: str, folder: Path, env: Mapping[str, str] | None = None) -> Ran:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment() | dict(env or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in NOT_HANDED_ON}
    return kept | {"PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "40"}


def git(folder: Path, *arguments: str, check: bool = True) -> Ran:
    """git as Alice, whatever the machine's own configuration says."""
    alice = {"name": "Alice", "email": "alice@hive.example"}
    who = {
        f"GIT_{role}_{part.upper()}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in alice.items()
    }
    return subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=environment() | who | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=check,
    )


def make_repository(folder: Path) -> Path:
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    return folder


def commit(folder: Path, name: str, text: str | None, message: str = "Change a file.") -> str:
    """Commit a file, or its removal; the commit's id."""
    if text is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD").stdout.strip()
