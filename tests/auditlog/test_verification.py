"""One flipped bit, anywhere: found and named."""

import random
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from auditlog import erasing, proofs, publication, retention, verification
from auditlog.errors import BrokenTree
from auditlog.models import Checkpoint, Entry, Head, Leaf, Tile
from queensmtp.tenancy import tenant
from tests.factories.auditlog import CHARLIES, HIVE, alice, leave_waiting, record_many, seal
from tests.roles import as_role

pytestmark = pytest.mark.django_db

Change = Callable[[str], None]


@pytest.fixture(autouse=True)
def _log() -> None:
    record_many(6)
    seal()
    leave_waiting(300)
    seal()
    with as_role("worker"):
        publication.publish_due(now=timezone.now())
    record_many(3)
    seal()
    record_many(2)


def findings() -> str:
    with tenant(HIVE):
        return "\n".join(map(str, verification.verify(HIVE)))


def change(statement: str, *params: Any) -> None:
    """Change the store as a thief with the superuser's password would."""
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE")
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(statement, params)
        assert cursor.rowcount >= 1
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("SET ROLE app")


def test_an_untouched_log_is_clean() -> None:
    assert findings() == ""


def test_an_account_without_a_log_is_clean() -> None:
    with tenant(CHARLIES):
        assert verification.verify(CHARLIES) == []


def entry_columns() -> list[str]:
    return [field.name for field in Entry._meta.fields if field.name not in ("id", "account_id")]


CHANGES = {
    "created_at": "created_at + interval '1 microsecond'",
    "version": "version + 1",
    "event": "event || 'x'",
    "outcome": "'failed'",
    "actor_type": "'system'",
    "actor_id": "actor_id || 'x'",
    "key_id": "id",
    "request_id": "request_id || 'x'",
    "target_type": "target_type || 'x'",
    "target_id": "target_id || 'x'",
    "labels": 'labels || \'{"a": "b"}\'',
    "count": "count + 1",
    "private_hash": "set_bit(private_hash, 77, 1 - get_bit(private_hash, 77))",
    "salt": "set_bit(salt, 7, 1 - get_bit(salt, 7))",
    "actor_label": "actor_label || 'x'",
    "target_label": "target_label || 'x'",
    "ip": "ip + 1",
    "user_agent": "user_agent || 'x'",
    "client_request_id": "client_request_id || 'x'",
    "changes": 'changes || \'{"a": "b"}\'',
    "ordinary_read": "NOT ordinary_read",
}


def test_every_column_of_an_entry_is_tried() -> None:
    assert sorted(CHANGES) == sorted(entry_columns())


@pytest.mark.parametrize("column", CHANGES)
@pytest.mark.parametrize("is_sealed", [True, False])
def test_a_changed_field_is_found_and_its_entry_named(column: str, is_sealed: bool) -> None:
    with tenant(HIVE):
        ids = Entry.objects.order_by("id").values_list("id", flat=True)
        entry_id = ids[2] if is_sealed else ids[10]
    change(f"UPDATE auditlog_entry SET {column} = {CHANGES[column]} WHERE id = %s", entry_id)
    assert f"entry {entry_id}" in findings()


@pytest.mark.parametrize(
    ("table", "column", "where", "named"),
    [
        ("auditlog_leaf", "hash", "leaf_index = 2", "entry "),
        ("auditlog_leaf", "hash", "leaf_index = 40", "tile 0/0"),
        ("auditlog_leaf", "hash", "leaf_index = 290", "checkpoint 306"),
        ("auditlog_tile", "hashes", "number = 0", "tile 0/0"),
        ("auditlog_tile", "root", "number = 0", "tile 0/0"),
        ("auditlog_head", "root", "true", "head"),
        ("auditlog_head", "frontier", "true", "head"),
        ("auditlog_checkpoint", "root", "true", "checkpoint 306"),
    ],
)
def test_one_flipped_bit_of_a_hash_is_found_and_named(
    table: str, column: str, where: str, named: str
) -> None:
    bit = random.Random(f"{table}{column}{where}").randrange(256)
    change(
        f"UPDATE {table} SET {column} = set_bit({column}, {bit}, 1 - get_bit({column}, {bit}))"
        f" WHERE {where} AND account_id = %s",
        HIVE,
    )
    assert named in findings()


@pytest.mark.parametrize("table", ["auditlog_head", "auditlog_checkpoint"])
def test_one_changed_character_of_a_note_is_found(table: str) -> None:
    with tenant(HIVE):
        model = Head if table == "auditlog_head" else Checkpoint
        note = model.objects.get().note
    for place in range(0, len(note), 7):
        other = chr(ord(note[place]) ^ 1)
        changed = note[:place] + other + note[place + 1 :]
        change(f"UPDATE {table} SET note = %s WHERE account_id = %s", changed, HIVE)
        assert findings() != "", f"{note[place]!r} became {other!r} at {place}"


def test_an_older_note_put_under_the_head_is_found() -> None:
    with tenant(HIVE):
        older = Checkpoint.objects.get().note
    change("UPDATE auditlog_head SET note = %s", older)
    assert findings() == "head: its note states another size or root"


def test_a_proof_is_never_made_of_what_is_missing() -> None:
    with tenant(HIVE):
        leaf = Leaf.objects.get(leaf_index=308)
    change("DELETE FROM auditlog_leaf WHERE leaf_index = 307")
    with tenant(HIVE), pytest.raises(BrokenTree, match="are missing"):
        proofs.inclusion_proof(HIVE, leaf=leaf)


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("DELETE FROM auditlog_leaf WHERE leaf_index = 1", "leaf 2"),
        ("DELETE FROM auditlog_leaf WHERE leaf_index = 308", "head"),
        ("DELETE FROM auditlog_tile", "tile 0/0: it is missing"),
        ("UPDATE auditlog_tile SET number = 1", "tile 0/1: no leaves"),
        ("DELETE FROM auditlog_head", "head: it is missing"),
        ("DELETE FROM auditlog_pending", "no leaf, and none waits"),
        ("UPDATE auditlog_leaf SET entry_id = account_id WHERE leaf_index = 3", "no leaf"),
    ],
)
def test_what_was_taken_away_is_found_and_named(statement: str, named: str) -> None:
    change(statement)
    assert named in findings()


def test_two_swapped_leaves_are_found() -> None:
    with tenant(HIVE):
        one, two = Leaf.objects.order_by("leaf_index")[3:5]
    for leaf, other in ((one, two), (two, one)):
        change(
            "UPDATE auditlog_leaf SET hash = %s WHERE leaf_index = %s",
            bytes(other.hash),
            leaf.leaf_index,
        )
    found = findings()
    assert f"entry {one.entry_id}" in found and f"entry {two.entry_id}" in found


def test_an_entry_that_was_deleted_is_found_until_its_retention_is_over() -> None:
    with tenant(HIVE):
        entry_id = Leaf.objects.get(leaf_index=2).entry_id
    change("DELETE FROM auditlog_entry WHERE id = %s", entry_id)
    assert findings() == f"entry {entry_id}: it is gone before its time"


def test_an_old_entry_that_no_pruning_took_is_found() -> None:
    """Past the shortest days of any plan, and the account's own pruning never came that far."""
    with tenant(HIVE):
        retention.begin(account_id=HIVE, plan_days=365)
    assert findings().count("it is gone before its time") == 300
    change(
        "UPDATE auditlog_retention SET pruned_before = now() - interval '399 days'"
        " WHERE account_id = %s",
        HIVE,
    )
    assert findings() == ""
    change("UPDATE auditlog_retention SET pruned_before = now() - interval '401 days'")
    assert findings().count("it is gone before its time") == 300


def test_moving_on_what_was_pruned_hides_no_young_entry() -> None:
    with tenant(HIVE):
        retention.begin(account_id=HIVE, plan_days=365)
        entry_id = Leaf.objects.get(leaf_index=2).entry_id
    change("UPDATE auditlog_retention SET pruned_before = now() + interval '1 day'")
    change("DELETE FROM auditlog_entry WHERE id = %s", entry_id)
    assert findings() == f"entry {entry_id}: it is gone before its time"


ERASED = {
    "salt": "NULL",
    "ip": "NULL",
    "actor_label": "''",
    "target_label": "''",
    "user_agent": "''",
    "client_request_id": "''",
    "changes": "'{}'",
}
REMAINS = {
    "ip": "'192.0.2.1'",
    "actor_label": "'Mallory'",
    "target_label": "'x'",
    "user_agent": "'x'",
    "client_request_id": "'x'",
    "changes": '\'{"a": "b"}\'',
}


def erase(**remains: str) -> None:
    columns = ", ".join(f"{name} = {value}" for name, value in {**ERASED, **remains}.items())
    change(
        f"UPDATE auditlog_entry SET {columns}"
        " WHERE id IN (SELECT entry_id FROM auditlog_leaf WHERE leaf_index < 3)"
    )


def erase_rightfully() -> None:
    """Whoever named the first three keys asked for it."""
    with tenant(HIVE):
        for number in range(3):
            erasing.request(by=alice(), query={"q": [f"key {number}"], "to": [past_the_first()]})
    seal()
    with as_role("worker"):
        assert erasing.erase_due() == 3


def past_the_first() -> str:
    """A moment before the entries that were recorded after the first seal."""
    with tenant(HIVE):
        return Entry.objects.order_by("id")[6].created_at.isoformat()


def test_an_erased_person_is_no_finding() -> None:
    erase_rightfully()
    assert findings() == ""
    seal()
    assert findings() == ""
    with tenant(HIVE):
        assert verification.count_erased(HIVE) == 3
    out = StringIO()
    call_command("verify_audit_log", str(HIVE), stdout=out)
    assert "3 of the entries were erased" in out.getvalue()


def test_entries_that_were_emptied_behind_the_back_of_the_log_are_named() -> None:
    erase()
    with tenant(HIVE):
        ids = list(Leaf.objects.filter(leaf_index__lt=3).values_list("entry_id", flat=True))
        said = {str(found) for found in verification.verify(HIVE)}
    assert said == {f"entry {id}: it was emptied, and no erasure tells of it" for id in ids}


def test_an_entry_that_was_emptied_before_it_was_sealed_is_named() -> None:
    with tenant(HIVE):
        entry_id = Entry.objects.order_by("-id").values_list("id", flat=True)[0]
    columns = ", ".join(f"{name} = {value}" for name, value in ERASED.items())
    change(f"UPDATE auditlog_entry SET {columns} WHERE id = %s", entry_id)
    assert findings() == f"entry {entry_id}: it was emptied, and no erasure tells of it"


def test_a_rightful_erasure_vouches_for_its_own_leaves_and_no_others() -> None:
    """Nor when what it took is counted as well: as many are gone as the log says, but others."""
    erase_rightfully()
    seal()
    with tenant(HIVE):
        other = Leaf.objects.get(leaf_index=4).entry_id
    columns = ", ".join(f"{name} = {value}" for name, value in ERASED.items())
    change(f"UPDATE auditlog_entry SET {columns} WHERE id = %s", other)
    assert findings() == f"entry {other}: it was emptied, and no erasure tells of it"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE auditlog_erasure SET leaves = leaves || '\\x0000000000000004'",
        "UPDATE auditlog_erasure SET leaves = ''",
        "DELETE FROM auditlog_erasure",
    ],
)
def test_leaves_that_an_erasure_did_not_commit_to_are_vouched_for_by_nothing(
    statement: str,
) -> None:
    erase_rightfully()
    change(statement)
    assert findings().count(": it was emptied, and no erasure tells of it") == 3


def test_an_erasure_that_was_itself_emptied_vouches_for_nothing() -> None:
    erase_rightfully()
    seal()
    columns = ", ".join(f"{name} = {value}" for name, value in ERASED.items())
    change(f"UPDATE auditlog_entry SET {columns} WHERE event = 'audit_erasure.finished'")
    assert findings().count(": it was emptied, and no erasure tells of it") == 6


def test_no_erasure_empties_what_tells_of_erasures() -> None:
    erase_rightfully()
    seal()
    with tenant(HIVE):
        erasing.request(by=alice(), query={"actor": ["system:retention"]})
    seal()
    with as_role("worker"):
        assert erasing.erase_due() == 0
    assert findings() == ""


@pytest.mark.parametrize("column", REMAINS)
def test_what_is_written_where_the_salt_was_taken_away_is_found(column: str) -> None:
    erase(**{column: REMAINS[column]})
    with tenant(HIVE):
        ids = Leaf.objects.filter(leaf_index__lt=3).values_list("entry_id", flat=True)
        assert {found.place for found in verification.verify(HIVE)} == {f"entry {id}" for id in ids}


def test_the_command_says_what_is_wrong() -> None:
    out, errors = StringIO(), StringIO()
    call_command("verify_audit_log", str(HIVE), stdout=out)
    assert out.getvalue().startswith("309 leaves, root ")
    change("UPDATE auditlog_tile SET root = sha256(root)")
    with pytest.raises(CommandError, match="not as they were signed"):
        call_command("verify_audit_log", str(HIVE), stderr=errors)
    assert "tile 0/0" in errors.getvalue()


def test_there_is_a_tile_to_change() -> None:
    with tenant(HIVE):
        assert Tile.objects.count() == 1
