"""What this sealer signed last, kept outside the database: a database that was put back is found.

A backup that is restored, or an attacker who rolls the store back to an older head that we did
sign, leaves nothing inside the database that contradicts it. This file does. It is written after
each commit, so a crash in between leaves it behind the database and never ahead of it.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from auditlog import stored_tree
from auditlog.errors import HistoryChanged
from auditlog.merkle import Frontier, LeafRange

BUSY_SECONDS = 10.0

MAKE = """
CREATE TABLE IF NOT EXISTS signed (
    account_id TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL
) WITHOUT ROWID
"""
REMEMBER = """
INSERT INTO signed (account_id, size, root) VALUES (?, ?, ?)
ON CONFLICT (account_id) DO UPDATE SET size = excluded.size, root = excluded.root
WHERE excluded.size > size
"""
RECALL = "SELECT size, root FROM signed WHERE account_id = ?"


class Signed(NamedTuple):
    """The newest head that was signed for an account."""

    account_id: UUID
    size: int
    root: bytes


def remember(path: str, heads: Iterable[Signed]) -> None:
    """Keep these heads; one that is not newer than what is kept changes nothing."""
    if not path:
        return
    with _opened(path) as store, store:
        store.executemany(
            REMEMBER, [(str(head.account_id), head.size, head.root) for head in heads]
        )


def check(path: str, trees: Mapping[UUID, Frontier]) -> None:
    """Raise HistoryChanged when a tree does not begin with the one that was signed last."""
    if not path or not trees:
        return
    with _opened(path) as store:
        for account_id, tree in trees.items():
            row = store.execute(RECALL, [str(account_id)]).fetchone()
            if row is not None:
                _check_tree(tree, Signed(account_id, *row))


def _check_tree(tree: Frontier, signed: Signed) -> None:
    if tree.size < signed.size:
        raise HistoryChanged(
            signed.account_id,
            f"{signed.size} leaves were signed and {tree.size} are left: it was put back",
        )
    if _root_at(tree, signed) != signed.root:
        raise HistoryChanged(
            signed.account_id, f"another root was signed for its first {signed.size} leaves"
        )


def _root_at(tree: Frontier, signed: Signed) -> bytes:
    if tree.size == signed.size:
        return tree.root
    whole = LeafRange(0, signed.size)
    return stored_tree.hashes_of(signed.account_id, tree.size, [whole])[0]


@contextmanager
def _opened(path: str) -> Iterator[sqlite3.Connection]:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=BUSY_SECONDS)) as store:
        # WAL and FULL: one fsync for each run of the sealer, and nothing lost to a power cut.
        store.execute("PRAGMA journal_mode = WAL")
        store.execute("PRAGMA synchronous = FULL")
        store.execute(MAKE)
        yield store
