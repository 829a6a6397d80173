"""Looks for keys in files and folders. Links are not followed; `.git` belongs to `history`."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from queensmtp import streams
from queensmtp.findings import Finding, Scan

CHUNK = 1024 * 1024


def scan(root: Path, found: Scan, *, bytes_maximum: int) -> list[Path]:
    """Look through a file or folder; the git repositories that were met."""
    if not root.is_dir():
        _scan_file(root, found, bytes_maximum)
        return []
    repositories = []
    for folder, folders, files in os.walk(root, onerror=lambda error: _not_read(found, error)):
        if ".git" in folders or ".git" in files or _is_bare(Path(folder)):
            repositories.append(Path(folder))
        if _is_bare(Path(folder)):
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in sorted(files):
            _scan_file(Path(folder, name), found, bytes_maximum)
    return repositories


def _is_bare(folder: Path) -> bool:
    """A repository without a working tree: packed objects, which only git can read."""
    return (folder / "HEAD").is_file() and all(
        (folder / name).is_dir() for name in ("objects", "refs")
    )


def _scan_file(path: Path, found: Scan, bytes_maximum: int) -> None:
    try:
        # Neither a pipe, which might never end, nor a device; a link's target is met by itself.
        if not stat.S_ISREG(path.lstat().st_mode):
            found.notes.append(f"{path}: not a regular file, left out")
            return
        with path.open("rb") as file:
            for line, token in streams.find(_chunks(file, bytes_maximum)):
                found.findings.append(Finding(token, str(path), line))
            if file.read(1):
                found.notes.append(f"{path}: only the first {bytes_maximum} bytes were looked at")
    except OSError as error:
        _not_read(found, error)


def _chunks(file: BinaryIO, maximum: int) -> Iterator[bytes]:
    while maximum > 0 and (chunk := file.read(min(CHUNK, maximum))):
        maximum -= len(chunk)
        yield chunk


def _not_read(found: Scan, error: OSError) -> None:
    found.errors.append(f"{error.filename}: {error.strerror}")
