"""64 writers at once, some of whose transactions abort, while two sealers seal."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import pytest
from django.conf import LazySettings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from auditlog import actions, verification
from auditlog.memory import Signed
from auditlog.merkle import Frontier
from auditlog.models import Entry, Leaf, Pending
from queensmtp.actors import Actor
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from tests.factories.auditlog import alice
from tests.roles import as_role

ACCOUNTS = [new_id() for _ in range(3)]
WRITERS = 64
TRANSACTIONS_EACH = 8
EVENT = "api_key.created"


class _Aborted(Exception):
    """What an action raises after it wrote its entry."""


@dataclass
class Writer:
    """One thread with a connection of its own, and what it knows of its entries."""

    number: int
    kept: list[UUID] = field(default_factory=list)
    lost: list[UUID] = field(default_factory=list)

    @property
    def account_id(self) -> UUID:
        return ACCOUNTS[self.number % len(ACCOUNTS)]

    def write(self, start: threading.Barrier) -> None:
        by = alice(self.account_id)
        ways = [self.commit, self.abort, self.write_alone, self.roll_back_a_half, self.break_off]
        with own_connection():
            start.wait()
            for turn in range(TRANSACTIONS_EACH):
                ways[(self.number + turn) % len(ways)](by)

    def commit(self, by: Actor) -> None:
        with tenant(self.account_id):
            written = [record(by), record(by)]
        self.kept += written

    def abort(self, by: Actor) -> None:
        with pytest.raises(_Aborted), tenant(self.account_id):
            self.lost.append(record(by))
            raise _Aborted

    def write_alone(self, by: Actor) -> None:
        self.kept.append(actions.record_alone(by=by, event=EVENT))

    def roll_back_a_half(self, by: Actor) -> None:
        with tenant(self.account_id):
            first = record(by)
            with pytest.raises(_Aborted), transaction.atomic():
                self.lost.append(record(by))
                raise _Aborted
            last = record(by)
        self.kept += [first, last]

    def break_off(self, by: Actor) -> None:
        """The database itself aborts it, between the entry and the commit."""
        with pytest.raises(DatabaseError), tenant(self.account_id):
            self.lost.append(record(by))
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")


def record(by: Actor) -> UUID:
    return actions.record(by=by, event=EVENT)


@contextmanager
def own_connection() -> Iterator[None]:
    try:
        yield
    finally:
        connection.close()


def seal_until(stopped: threading.Event) -> list[Signed]:
    """Seal small bites without a pause; return every head that was signed."""
    signed: list[Signed] = []
    with own_connection(), as_role("worker"):
        while not stopped.is_set():
            signed += actions.seal_pending(limit=50, now=timezone.now()).signed
    return signed


def write_and_seal() -> tuple[list[Writer], list[Signed]]:
    writers = [Writer(number) for number in range(WRITERS)]
    start, stopped = threading.Barrier(WRITERS), threading.Event()
    with ThreadPoolExecutor(2) as sealers, ThreadPoolExecutor(WRITERS) as threads:
        sealing = [sealers.submit(seal_until, stopped) for _ in range(2)]
        try:
            for done in [threads.submit(writer.write, start) for writer in writers]:
                done.result()
        finally:
            stopped.set()
        signed = [head for each in sealing for head in each.result()]
    with as_role("worker"):
        actions.seal_all(now=timezone.now())
    return writers, signed


@pytest.mark.django_db(transaction=True)
def test_what_64_writers_commit_is_sealed_once_and_in_one_order(
    settings: LazySettings, tmp_path: Path
) -> None:
    settings.AUDIT_MEMORY_FILE = str(tmp_path / "memory.sqlite3")
    writers, signed = write_and_seal()
    kept, lost = defaultdict(list), set()
    for writer in writers:
        kept[writer.account_id].append(writer.kept)
        lost.update(writer.lost)

    assert len(lost) > WRITERS and len(signed) > 2 * len(ACCOUNTS)
    for account_id in ACCOUNTS:
        with tenant(account_id):
            assert verification.verify(account_id) == []
            assert not Pending.objects.exists()
            leaves = list(Leaf.objects.order_by("leaf_index"))
            stored = set(Entry.objects.values_list("id", flat=True))
        assert [leaf.leaf_index for leaf in leaves] == list(range(len(leaves)))
        places = {leaf.entry_id: leaf.leaf_index for leaf in leaves}
        committed = {entry_id for ids in kept[account_id] for entry_id in ids}
        assert set(places) == stored == committed
        assert not stored & lost
        # Each writer's own entries stand in the order in which it committed them.
        for ids in kept[account_id]:
            assert ids == sorted(ids, key=places.__getitem__)
        # Every head that either sealer signed is a beginning of the one tree that there is.
        hashes = [bytes(leaf.hash) for leaf in leaves]
        for head in signed:
            if head.account_id == account_id:
                assert Frontier().extended(hashes[: head.size]).root == head.root
