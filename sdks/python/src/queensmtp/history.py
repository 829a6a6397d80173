"""Looks for keys in git: every version of every file on any ref, and what is staged.

Objects are read by `git cat-file`, each once, in a stream. Only plumbing is called, so that
nothing which a repository configures (text conversion, external diffs, hooks) is run.
"""

import os
import subprocess
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from queensmtp import streams
from queensmtp.findings import Finding, Scan, ScanFailed

CHUNK = 1024 * 1024
# Every ref, HEAD, stashes, and what an amend or a rebase left behind.
EVERYTHING = ("--all", "--reflog")
QUIET = ("-c", "core.fsmonitor=false", "-c", "core.quotePath=false", "--no-replace-objects")
# What git sets for its hooks must not lead us to another repository than the one named.
OF_A_HOOK = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY")
FORM = "--batch=%(objectname) %(objecttype) %(objectsize) %(rest)"
MESSAGE = "(message)"
# The modes of what has no contents here: nothing, and a submodule.
NO_CONTENTS = ("000000", "160000")


@dataclass(frozen=True, slots=True)
class Hit:
    """A git object in which keys stand."""

    object: str
    is_message: bool
    path: str
    keys: list[tuple[int, str]]


def scan(repository: Path, found: Scan, *, bytes_maximum: int) -> None:
    """Look through all that any ref reaches, messages of commits and tags included."""
    environment = {name: value for name, value in os.environ.items() if name not in OF_A_HOOK}
    git = Git(repository, environment)
    if git.answer("rev-parse", "--is-shallow-repository").strip() == b"true":
        found.notes.append(f"{repository}: a shallow clone, older history was not looked at")
    with git.stream("rev-list", "--objects", *EVERYTHING) as ids:
        hits = _read(git, ids, found, bytes_maximum)
    commits = _first_commits(git, {hit.object for hit in hits if not hit.is_message})
    for hit in hits:
        commit, path = commits.get(hit.object, (hit.object, hit.path))
        found.findings.extend(Finding(token, path, line, commit) for line, token in hit.keys)


def scan_staged(folder: Path, found: Scan, *, bytes_maximum: int) -> None:
    """Look through the files that the next commit changes, as it would hold them."""
    git = Git(folder, dict(os.environ))
    changed = git.answer("diff", "--cached", "--raw", "--no-renames", "--no-abbrev", "-z")
    with tempfile.TemporaryFile() as ids:
        for id, path in _staged(changed):
            ids.write(id + b" " + path.replace(b"\n", b"?") + b"\n")
        ids.seek(0)
        for hit in _read(git, ids, found, bytes_maximum):
            found.findings.extend(Finding(token, hit.path, line) for line, token in hit.keys)


def _staged(changed: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Id and path of each `:<old mode> <new mode> <old id> <new id> <status>`, NUL, `<path>`."""
    fields = changed.split(b"\0")
    for facts, path in zip(fields[::2], fields[1::2], strict=False):
        _, mode, _, id, _ = facts.split(b" ")
        if mode.decode() not in NO_CONTENTS:
            yield id, path


class Git:
    """Runs git in one repository."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._command = ["git", "-C", str(folder), *QUIET]
        # A partial clone must not begin to download.
        self._environment = {**environment, "GIT_NO_LAZY_FETCH": "1", "LC_ALL": "C"}

    def answer(self, *arguments: str) -> bytes:
        """All that a command says; for short answers."""
        with self.stream(*arguments) as output:
            return output.read()

    @contextmanager
    def stream(self, *arguments: str, stdin: IO[bytes] | None = None) -> Iterator[IO[bytes]]:
        """The output of a command; ScanFailed when it does not end well."""
        with tempfile.TemporaryFile() as errors:
            try:
                process = subprocess.Popen(
                    [*self._command, *arguments],
                    stdin=stdin or subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=self._environment,
                )
            except OSError as error:
                raise ScanFailed(f"git cannot be run: {error.strerror}") from None
            with process:
                assert process.stdout is not None
                yield process.stdout
            if process.returncode:
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip()
                raise ScanFailed(f"git {arguments[0]}: {said}")


def _read(git: Git, ids: IO[bytes], found: Scan, bytes_maximum: int) -> list[Hit]:
    """The objects with keys in them, among those whose ids and paths come in `ids`."""
    with git.stream("cat-file", FORM, stdin=ids) as output:
        return list(_hits(output, found, bytes_maximum))


def _hits(output: IO[bytes], found: Scan, bytes_maximum: int) -> Iterator[Hit]:
    while header := output.readline():
        id, kind, *rest = header.decode("utf-8", "surrogateescape").rstrip("\n").split(" ", 3)
        if kind == "missing":
            found.errors.append(f"{id}: this object of the history is not here")
            continue
        size, path = int(rest[0]), rest[1]
        # A tree lists names, which need not be looked at.
        looked_at = 0 if kind == "tree" else min(size, bytes_maximum)
        keys = list(streams.find(_chunks(output, looked_at)))
        # To the next header: what was not looked at, and a line break.
        for _ in _chunks(output, size - looked_at + 1):
            pass
        if kind != "tree" and looked_at < size:
            found.notes.append(f"{path}: only the first {bytes_maximum} bytes were looked at")
        if keys:
            is_message = kind in ("commit", "tag")
            yield Hit(id, is_message, MESSAGE if is_message else path, keys)


def _chunks(stream: IO[bytes], size: int) -> Iterator[bytes]:
    while size:
        chunk = stream.read(min(CHUNK, size))
        if not chunk:
            raise ScanFailed("git cat-file ended in the middle of an object")
        size -= len(chunk)
        yield chunk


def _first_commits(git: Git, ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """The oldest commit that brought each object, and the path that it had there."""
    places: dict[str, tuple[str, str]] = {}
    if not ids:
        return places
    form = ("--stdin", "-r", "--root", "-m", "--raw", "--no-renames", "--no-abbrev")
    with (
        git.stream("rev-list", "--topo-order", *EVERYTHING) as commits,
        git.stream("diff-tree", *form, stdin=commits) as output,
    ):
        commit = ""
        for raw in output:
            line = raw.decode("utf-8", "surrogateescape").rstrip("\n")
            if not line.startswith(":"):
                commit = line.partition(" ")[0]
                continue
            facts, _, path = line.partition("\t")
            id = facts.split(" ")[3]
            if id in ids:
                # Children come before their parents: the last that names it is the oldest.
                places[id] = commit, path
    return places
