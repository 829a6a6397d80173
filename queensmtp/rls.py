"""SQL for migrations: row-level security, grants, and look-ups that cross tenants.

There are no default privileges. Every table is granted here, explicitly, in its app's own
migrations; a test over the catalogue fails when one was forgotten.
"""

from collections.abc import Sequence

from django.db import migrations

# After a committed set_config(…, true) the setting is '' and a bare cast would raise.
CURRENT_ACCOUNT = "NULLIF(current_setting('app.account_id', true), '')::uuid"


def enable(table: str, *, column: str = "account_id") -> migrations.RunSQL:
    """Force row-level security; `app` sees and writes only the current account's rows."""
    condition = f"{column} = {CURRENT_ACCOUNT}"
    return migrations.RunSQL(
        f"""
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
        ALTER TABLE {table} FORCE ROW LEVEL SECURITY;
        CREATE POLICY tenant ON {table} TO app USING ({condition}) WITH CHECK ({condition});
        """,
        f"""
        DROP POLICY tenant ON {table};
        ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY;
        ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;
        """,
    )


def open_to(role: str, table: str, *, command: str = "ALL") -> migrations.RunSQL:
    """Let a role pass the tenant policy of a table; its grants still say what it may do."""
    check = " WITH CHECK (true)" if command == "ALL" else ""
    return migrations.RunSQL(
        f"CREATE POLICY open_to_{role} ON {table} FOR {command} TO {role} USING (true){check}",
        f"DROP POLICY open_to_{role} ON {table}",
    )


def open_to_worker(table: str) -> migrations.RunSQL:
    """Workers claim across tenants."""
    return open_to("worker", table)


def open_to_lookup(table: str) -> migrations.RunSQL:
    """SECURITY DEFINER look-ups read before the tenant is known."""
    return migrations.RunSQL(
        [
            f"CREATE POLICY open_to_lookup ON {table} FOR SELECT TO lookup USING (true)",
            f"GRANT SELECT ON {table} TO lookup",
        ],
        [
            f"REVOKE SELECT ON {table} FROM lookup",
            f"DROP POLICY open_to_lookup ON {table}",
        ],
    )


def grant(role: str, table: str, rights: str) -> migrations.RunSQL:
    """Grant table rights, for example `grant("app", "apikeys_apikey", "SELECT, INSERT")`."""
    return migrations.RunSQL(
        f"GRANT {rights} ON {table} TO {role}", f"REVOKE {rights} ON {table} FROM {role}"
    )


def composite_key(table: str) -> migrations.RunSQL:
    """Make `(account_id, id)` a target for foreign keys, which ignore row-level security."""
    name = f"{table}_account_id_id_key"
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} UNIQUE (account_id, id)",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )


def tenant_foreign_key(
    table: str, column: str, parent: str, *, on_delete: str = "NO ACTION"
) -> migrations.RunSQL:
    """A composite foreign key, so that a child can never point at another tenant's parent."""
    name = f"{table}_{column}_same_tenant"
    return migrations.RunSQL(
        f"""
        ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (account_id, {column})
        REFERENCES {parent} (account_id, id) ON DELETE {on_delete}
        """,
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )


def definer_function(
    name: str,
    *,
    args: str,
    returns: str,
    body: str,
    roles: Sequence[str] = ("app",),
    language: str = "sql",
    volatility: str = "STABLE",
) -> migrations.RunSQL:
    """A SECURITY DEFINER function owned by `lookup`, with a fixed search_path.

    The list of these functions is short and closed: each is a way around the tenant policy.
    """
    signature = f"{name}({args})"
    return migrations.RunSQL(
        f"""
        CREATE FUNCTION {signature} RETURNS {returns} LANGUAGE {language} {volatility}
        SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $body${body}$body$;
        REVOKE ALL ON FUNCTION {signature} FROM PUBLIC;
        GRANT EXECUTE ON FUNCTION {signature} TO {", ".join(roles)};
        GRANT CREATE ON SCHEMA public TO lookup;
        ALTER FUNCTION {signature} OWNER TO lookup;
        REVOKE CREATE ON SCHEMA public FROM lookup;
        """,
        f"DROP FUNCTION {signature}",
    )
