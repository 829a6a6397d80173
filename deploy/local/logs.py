"""var/log/<name>.log: what each process prints, kept to some 10 MB a process."""

import shutil
from pathlib import Path
from typing import BinaryIO

LARGEST_BYTES = 5_000_000


def open_log(path: Path) -> BinaryIO:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    keep_small(path)
    # Appending lets us truncate the file under a process that is writing it.
    return path.open("ab", buffering=0)


def keep_small(path: Path) -> None:
    if path.exists() and path.stat().st_size > LARGEST_BYTES:
        shutil.copyfile(path, path.with_suffix(".log.1"))
        with path.open("r+b") as log:
            log.truncate()


def last_lines(path: Path, count: int) -> list[str]:
    if not path.exists():
        return []
    with path.open("rb") as log:
        log.seek(max(0, path.stat().st_size - 8192))
        lines = log.read().decode(errors="replace").splitlines()
    return [line for line in lines if line.strip()][-count:]
