"""A database that was put back to an older state is found before anything is signed for it."""

from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection, transaction

from auditlog import memory
from auditlog.errors import HistoryChanged
from auditlog.memory import Signed
from auditlog.merkle import Frontier
from auditlog.models import Head, Pending
from queensmtp.tenancy import tenant
from tests.factories.auditlog import CHARLIES, HIVE, leave_waiting, record_many, seal

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def path(settings: LazySettings, tmp_path: Path) -> str:
    settings.AUDIT_MEMORY_FILE = str(tmp_path / "audit" / "memory.sqlite3")
    return str(settings.AUDIT_MEMORY_FILE)


class Restored(Exception):
    """Thrown to put the database back."""


def head(account_id: Any = HIVE) -> Head:
    with tenant(account_id):
        return Head.objects.get()


def seal_and_restore(count: int) -> None:
    """Seal some entries, then put the database back to before: a backup that is restored."""
    with pytest.raises(Restored), transaction.atomic():
        record_many(count)
        assert seal().set_aside == frozenset()
        raise Restored
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE app")


def test_a_log_that_only_grows_is_never_stopped() -> None:
    for count in (1, 255, 1, 2, 300):
        leave_waiting(count)
        report = seal()
        assert (report.entry_count, report.set_aside) == (count, frozenset())


def test_after_an_old_backup_was_restored_signing_is_refused() -> None:
    record_many(5)
    seal()
    before = head()
    seal_and_restore(3)
    assert head().size == 5
    record_many(1)
    record_many(1, CHARLIES)
    report = seal()
    assert (report.set_aside, report.entry_count) == (frozenset({HIVE}), 1)
    assert head().note == before.note
    with tenant(HIVE):
        # The entry that waits, and the one that says why.
        assert Pending.objects.count() == 2


def test_it_is_refused_even_when_the_new_history_is_longer() -> None:
    record_many(5)
    seal()
    seal_and_restore(3)
    record_many(20)
    assert seal().set_aside == frozenset({HIVE})


def test_a_longer_history_with_other_leaves_is_refused(path: str) -> None:
    record_many(5)
    seal()
    with tenant(HIVE):
        grown = Head.objects.get().tree()
    memory.remember(path, [Signed(CHARLIES, 3, bytes(32))])
    with pytest.raises(HistoryChanged, match="another root"):
        memory.check(path, {CHARLIES: Frontier().extended([b"1" * 32] * 3)})
    memory.check(path, {HIVE: grown})


def test_a_sealer_that_died_before_it_remembered_goes_on(path: str, settings: Any) -> None:
    record_many(5)
    seal()
    settings.AUDIT_MEMORY_FILE = ""
    record_many(300)
    seal()
    settings.AUDIT_MEMORY_FILE = path
    record_many(1)
    assert seal().set_aside == frozenset()
    assert head().size == 306


def test_an_older_head_never_replaces_a_newer_one(path: str) -> None:
    memory.remember(path, [Signed(HIVE, 7, b"7" * 32)])
    memory.remember(path, [Signed(HIVE, 6, b"6" * 32)])
    with pytest.raises(HistoryChanged, match="7 leaves were signed and 6 are left"):
        memory.check(path, {HIVE: Frontier().extended([bytes(32)] * 6)})
