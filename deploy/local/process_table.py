"""What /proc says about other processes. Pids are reused, so none is trusted by number alone."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class Stat:
    state: str
    group: int


def is_running(pid: int) -> bool:
    """A zombie still answers `kill(pid, 0)`; it is not running."""
    stat = find_stat(pid)
    return stat is not None and stat.state not in "ZX"


def executable_name(pid: int) -> str:
    try:
        return Path(os.readlink(PROC / str(pid) / "exe").removesuffix(" (deleted)")).name
    except OSError:
        return ""


def arguments(pid: int) -> list[str]:
    return _zero_separated(pid, "cmdline")


def members_of_group(group: int) -> list[int]:
    stats = ((pid, find_stat(pid)) for pid in all_pids())
    return [pid for pid, stat in stats if stat and stat.group == group and stat.state not in "ZX"]


def started_with(variable: str, value: str) -> list[int]:
    """The running processes that were given this environment variable, ourselves left out."""
    wanted = f"{variable}={value}"
    return [
        pid
        for pid in all_pids()
        if pid != os.getpid() and wanted in _zero_separated(pid, "environ") and is_running(pid)
    ]


def find_stat(pid: int) -> Stat | None:
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    # The command's name stands in brackets and may itself hold spaces and brackets.
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(state=fields[0], group=int(fields[2]))


def all_pids() -> Iterator[int]:
    return (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())


def _zero_separated(pid: int, file: str) -> list[str]:
    try:
        content = (PROC / str(pid) / file).read_bytes()
    except OSError:
        return []
    return [part.decode(errors="replace") for part in content.split(b"\0")]
