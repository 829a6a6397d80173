"""The database's own catalogue, asked whether the second wall has a hole (`design.md` 2.1)."""

from typing import Any

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db

RUNTIME_ROLES = ("app", "worker", "lookup", "retention")

# Every way around the tenant policy. A function added here is a decision, not a detail.
DEFINER_FUNCTIONS = {
    "api_key_standing": "lookup",
    "addresses_of_members": "lookup",
    "api_key_by_public_id": "lookup",
    "auditlog_drop_partition": "owner",
    "auditlog_erase": "retention",
    "auditlog_prune": "retention",
    "ensure_partitions": "owner",
    "is_tracking_host": "lookup",
    "memberships_of": "lookup",
}

# The only table whose policy is about its own id.
POLICY_BY_OTHER_COLUMN = {"accounts_account": "id"}


def rows(sql: str, params: Any = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())


def test_tests_run_as_app() -> None:
    assert rows("SELECT current_user::text, row_security_active('apikeys_apikey')") == [
        ("app", True)
    ]


def test_no_runtime_role_stands_above_the_policies() -> None:
    assert (
        rows(
            "SELECT rolname FROM pg_roles WHERE rolname = ANY (%s)"
            " AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb)",
            [list(RUNTIME_ROLES)],
        )
        == []
    )


def test_no_runtime_role_owns_a_table() -> None:
    assert (
        rows(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tableowner <> 'owner'"
        )
        == []
    )


def test_no_runtime_role_is_a_member_of_another() -> None:
    """A policy `TO worker` serves every role that inherits it."""
    assert (
        rows(
            "SELECT m.roleid::regrole::text, m.member::regrole::text FROM pg_auth_members m"
            " WHERE m.member::regrole::text = ANY (%s)",
            [list(RUNTIME_ROLES)],
        )
        == []
    )


def test_every_table_of_a_tenant_has_forced_row_level_security_and_a_policy() -> None:
    found = rows(
        """
        SELECT c.relname::text, c.relrowsecurity, c.relforcerowsecurity,
               (SELECT count(*) FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant')
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'account_id'
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
          AND NOT c.relispartition
        """
    )
    assert len(found) > 10
    assert [name for name, enabled, forced, policies in found if not enabled or not forced] == []
    assert [name for name, _, _, policies in found if policies != 1] == []


def test_the_tenant_policy_binds_reading_and_writing_to_the_current_account() -> None:
    found = rows(
        "SELECT tablename::text, roles::text, qual, with_check FROM pg_policies"
        " WHERE policyname = 'tenant'"
    )
    for table, roles, using, check in found:
        column = POLICY_BY_OTHER_COLUMN.get(table, "account_id")
        assert roles == "{app}", table
        assert using == check, table
        assert using.startswith(f"({column} = (NULLIF(current_setting('app.account_id'"), table


def test_partitions_are_closed_to_every_runtime_role() -> None:
    found = rows(
        """
        SELECT c.relname::text, c.relrowsecurity AND c.relforcerowsecurity,
               bool_or(has_any_column_privilege(r.rolname, c.oid, 'SELECT, INSERT, UPDATE')
                       OR has_table_privilege(r.rolname, c.oid, 'DELETE, TRUNCATE'))
        FROM pg_class c CROSS JOIN pg_roles r
        WHERE c.relispartition AND c.relkind = 'r' AND r.rolname = ANY (%s)
        GROUP BY c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity
        """,
        [list(RUNTIME_ROLES)],
    )
    assert len(found) > 10
    assert [name for name, secured, granted in found if not secured or granted] == []


def test_the_ways_around_the_policies_are_a_closed_list() -> None:
    found = rows(
        "SELECT proname::text, proowner::regrole::text, proconfig::text FROM pg_proc"
        " WHERE prosecdef AND pronamespace = 'public'::regnamespace"
    )
    assert {name: owner for name, owner, _ in found} == DEFINER_FUNCTIONS
    assert all("search_path=pg_catalog" in config for _, _, config in found)


def test_nobody_else_may_call_them() -> None:
    assert (
        rows(
            "SELECT proname FROM pg_proc WHERE prosecdef AND pronamespace = 'public'::regnamespace"
            " AND has_function_privilege('public', oid, 'EXECUTE')"
        )
        == []
    )


def test_workers_read_of_a_key_what_they_tell_of_it_and_change_nothing() -> None:
    """Neither its secret, nor what it may do."""
    found = rows(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = 'apikeys_apikey'::regclass"
        " AND attnum > 0 AND NOT attisdropped"
        " AND has_column_privilege('worker', attrelid, attnum, 'SELECT')"
    )
    assert {name for (name,) in found} == {
        *("id", "account_id", "name", "prefix", "last4", "mac", "created_at", "is_decoy"),
        *("expires_at", "overlap_ends_at", "revoked_at", "rotate_every_seconds"),
    }
    rights = "INSERT, UPDATE, REFERENCES"
    assert rows("SELECT has_any_column_privilege('worker', 'apikeys_apikey', %s)", [rights]) == [
        (False,)
    ]


@pytest.mark.parametrize("table", ["accounts_user", "accounts_membership", "django_session"])
def test_workers_have_no_right_to_people(table: str) -> None:
    rights = "SELECT, INSERT, UPDATE, REFERENCES"
    assert rows("SELECT has_any_column_privilege('worker', %s, %s)", [table, rights]) == [(False,)]


def test_foreign_keys_between_tables_of_tenants_carry_the_account() -> None:
    """Foreign keys ignore row-level security: a plain one could reach another tenant's row."""
    found = rows(
        """
        SELECT con.conname::text FROM pg_constraint con
        WHERE con.contype = 'f' AND con.conparentid = 0
          AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = con.conrelid
                      AND a.attname = 'account_id')
          AND EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = con.confrelid
                      AND a.attname = 'account_id')
          AND NOT EXISTS (SELECT 1 FROM pg_attribute a WHERE a.attrelid = con.conrelid
                          AND a.attname = 'account_id' AND a.attnum = ANY (con.conkey))
        """
    )
    assert found == []
