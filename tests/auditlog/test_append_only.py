"""The log only grows: rights and triggers, through the ORM and in raw SQL."""

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from auditlog import publication
from auditlog.models import Checkpoint, Entry, Head, Leaf, Tile, WrittenByActions
from queensmtp.tenancy import tenant
from tests.factories.auditlog import HIVE, leave_waiting, record_many, seal
from tests.roles import as_role

pytestmark = pytest.mark.django_db

MODELS: list[Any] = [Entry, Leaf, Tile, Checkpoint]
TABLES = [model._meta.db_table for model in MODELS]
RUNTIME_ROLES = ["app", "worker"]


@pytest.fixture(autouse=True)
def _log() -> None:
    record_many(1)
    leave_waiting(256)
    seal()
    with as_role("worker"):
        publication.publish_due(now=timezone.now())


def counts() -> list[int]:
    with as_role("worker"):
        return [model.objects.count() for model in MODELS]


def test_there_is_something_to_change() -> None:
    assert counts() == [1, 257, 1, 1]


@pytest.mark.parametrize("role", RUNTIME_ROLES)
@pytest.mark.parametrize("model", MODELS)
def test_the_orm_changes_nothing(model: Any, role: str) -> None:
    before = counts()
    with as_role(role), tenant(HIVE):
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            model.objects.update(account_id=HIVE)
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            model.objects.all().delete()
    assert counts() == before


@pytest.mark.parametrize("role", RUNTIME_ROLES)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    "statement",
    ["UPDATE {} SET account_id = account_id", "DELETE FROM {}", "TRUNCATE {}"],
)
def test_raw_sql_changes_nothing(statement: str, table: str, role: str) -> None:
    before = counts()
    with as_role(role), tenant(HIVE), pytest.raises(DatabaseError, match="permission denied"):
        run(statement.format(table))
    assert counts() == before


@pytest.mark.parametrize("role", RUNTIME_ROLES)
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    ("right", "statement"),
    [
        ("UPDATE", "UPDATE {} SET account_id = account_id"),
        ("DELETE", "DELETE FROM {}"),
        ("TRUNCATE", "TRUNCATE {}"),
    ],
)
def test_a_right_granted_by_mistake_changes_nothing_either(
    right: str, statement: str, table: str, role: str
) -> None:
    with as_role("owner"):
        run(f"GRANT {right} ON {table} TO {role}")
    with as_role(role), tenant(HIVE), pytest.raises(DatabaseError, match="only grows"):
        run(statement.format(table))


@pytest.mark.parametrize("table", TABLES)
def test_not_even_the_owner_updates_or_deletes(table: str) -> None:
    with as_role("owner"):
        # FORCE hides the rows from the owner; a policy of its own would be the next step.
        run(f"CREATE POLICY owner ON {table} TO owner USING (true) WITH CHECK (true)")
        for statement in ("UPDATE {} SET account_id = account_id", "DELETE FROM {}"):
            with pytest.raises(DatabaseError, match="only grows"):
                run(statement.format(table))


@pytest.mark.parametrize("table", ["auditlog_leaf", "auditlog_tile", "auditlog_head"])
def test_a_request_cannot_write_the_tree(table: str) -> None:
    with tenant(HIVE), pytest.raises(DatabaseError, match="permission denied"):
        run(f"INSERT INTO {table} SELECT * FROM {table}")


@pytest.mark.parametrize("role", RUNTIME_ROLES)
def test_a_partition_cannot_be_reached_directly(role: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT inhrelid::regclass FROM pg_inherits LIMIT 1")
        partition = cursor.fetchone()[0]
    with as_role(role), pytest.raises(DatabaseError, match="permission denied"):
        run(f"SELECT * FROM {partition}")


def test_a_request_cannot_take_a_pending_leaf_away() -> None:
    with tenant(HIVE), pytest.raises(DatabaseError, match="permission denied"):
        run("DELETE FROM auditlog_pending")


def test_a_head_never_shrinks_and_never_changes_at_one_size() -> None:
    with as_role("worker"):
        for change in ("size = size - 1", "root = frontier || root", "published_size = -1"):
            with pytest.raises(DatabaseError, match="only grows"):
                run(f"UPDATE auditlog_head SET {change}")
        with pytest.raises(DatabaseError, match="permission denied"):
            run("DELETE FROM auditlog_head")


@pytest.mark.parametrize("model", MODELS)
def test_models_are_written_by_actions_only(model: Any) -> None:
    with tenant(HIVE):
        row = model.objects.first()
        assert row is not None
        with pytest.raises(WrittenByActions):
            row.save()
        with pytest.raises(WrittenByActions):
            row.delete()
        with pytest.raises(WrittenByActions):
            model.objects.create(account_id=HIVE)


def test_every_table_of_the_log_is_behind_the_tenant_wall() -> None:
    tables = [*TABLES, Head._meta.db_table, "auditlog_pending"]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relname = ANY (%s) AND relrowsecurity"
            " AND relforcerowsecurity",
            [tables],
        )
        assert {name for (name,) in cursor.fetchall()} == set(tables)


def run(statement: str) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
