"""A witness (C2SP `tlog-witness`): cosigns a checkpoint that continues the last one it has seen.

What it has seen stands in a store of its own. It never signs a size that is not newer, or a root
that does not begin with the one before: a log that was rolled back or forked gets no signature.
"""

import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from queensmtp_verify.findings import Malformed
from queensmtp_verify.notes import (
    WITNESS,
    Checkpoint,
    Key,
    cosign,
    is_number,
    is_signed,
    read_checkpoint,
    read_hash,
)
from queensmtp_verify.tree import LONGEST_PROOF, is_consistent

BUSY_SECONDS = 10.0
TEXT = "text/plain; charset=utf-8"
TREE_SIZE = "text/x.tlog.size"

MAKE = """
CREATE TABLE IF NOT EXISTS seen (
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL
) WITHOUT ROWID
"""
RECALL = "SELECT size, root FROM seen WHERE origin = ?"
REMEMBER = """
INSERT INTO seen (origin, size, root) VALUES (?, ?, ?)
ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root
"""


class Answer(NamedTuple):
    """What the witness says, as an HTTP status, a body and its type."""

    status: int
    body: str
    content_type: str = TEXT


class Refused(Exception):
    def __init__(self, status: int, body: str, content_type: str = TEXT) -> None:
        self.answer = Answer(status, body, content_type)
        super().__init__(body)


@dataclass(frozen=True)
class Submission:
    """A checkpoint, and the proof that it continues the tree of the old size."""

    old_size: int
    proof: list[bytes]
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Witness:
    name: str
    key: Ed25519PrivateKey
    store: Path
    # Keys by origin; an origin that ends in "/" stands for every log beneath it.
    logs: Mapping[str, Sequence[Key]]
    now: Callable[[], float] = field(default=time.time)

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer a request to `add-checkpoint`."""
        try:
            return Answer(200, self._cosigned(body))
        except Refused as refusal:
            return refusal.answer

    def public_key(self) -> Key:
        return Key(self.key.public_key().public_bytes_raw(), self.name, WITNESS)

    def _cosigned(self, body: bytes) -> str:
        submission = read_submission(body)
        checkpoint = submission.checkpoint
        self._check_signature(checkpoint)
        if submission.old_size > checkpoint.size:
            raise Refused(400, "the old size is larger than the checkpoint's\n")
        if checkpoint.size == 0:
            raise Refused(422, "an empty log is not cosigned\n")
        # One writer at a time: what is compared is still true when it is replaced, so of two
        # requests at once the later one sees what the earlier one left.
        with self._opened() as store:
            store.execute("BEGIN IMMEDIATE")
            check_continues(submission, self._seen(store, checkpoint.origin))
            store.execute(REMEMBER, (checkpoint.origin, checkpoint.size, checkpoint.root))
            # On the disk before anything is signed.
            store.execute("COMMIT")
        return cosign(checkpoint, name=self.name, key=self.key, at=int(self.now()))

    def _check_signature(self, checkpoint: Checkpoint) -> None:
        keys = self._keys_of(checkpoint.origin)
        if keys is None:
            raise Refused(404, "this log is not known here\n")
        try:
            signed = is_signed(checkpoint, keys)
        except Malformed:
            signed = False
        if not signed:
            raise Refused(403, "no key of this log has signed the checkpoint\n")

    def _keys_of(self, origin: str) -> Sequence[Key] | None:
        beneath = origin.rpartition("/")[0] + "/"
        return self.logs.get(origin) or self.logs.get(beneath)

    def _seen(self, store: sqlite3.Connection, origin: str) -> tuple[int, bytes]:
        return store.execute(RECALL, (origin,)).fetchone() or (0, b"")

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.store, timeout=BUSY_SECONDS, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = FULL")
            db.execute(MAKE)
            yield db


def check_continues(submission: Submission, seen: tuple[int, bytes]) -> None:
    """Refuse a checkpoint that does not continue what was seen last."""
    size, root = seen
    checkpoint = submission.checkpoint
    if submission.old_size != size:
        raise Refused(409, f"{size}\n", TREE_SIZE)
    if size == 0:
        if submission.proof:
            raise Refused(422, "from the empty log there is no proof to give\n")
    elif not is_consistent(
        first=size,
        second=checkpoint.size,
        first_root=root,
        second_root=checkpoint.root,
        proof=submission.proof,
    ):
        raise Refused(422, f"the log does not continue the one of {size} leaves seen here\n")


def read_submission(body: bytes) -> Submission:
    """Read the body of a request to `add-checkpoint`."""
    try:
        head, separator, note = body.decode().partition("\n\n")
        old, *proof = head.split("\n")
        size = old.removeprefix("old ")
        if not separator or not old.startswith("old ") or not is_number(size):
            raise Malformed("the first line is `old` and a size")
        if len(proof) > LONGEST_PROOF:
            raise Malformed(f"a proof has at most {LONGEST_PROOF} lines")
        hashes = [read_hash(line) for line in proof]
        return Submission(int(size), hashes, read_checkpoint(note))
    except (Malformed, UnicodeDecodeError) as error:
        raise Refused(400, f"{error}\n") from None
