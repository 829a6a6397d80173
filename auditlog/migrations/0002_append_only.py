from django.db import migrations

from queensmtp import rls

TABLES = ("entry", "pending", "leaf", "tile", "head", "checkpoint")
# What is written once and then stands for ever.
INSERT_ONLY = ("entry", "leaf", "tile", "checkpoint")

APP_RIGHTS = {
    "entry": "SELECT, INSERT",
    "pending": "SELECT, INSERT",
    "leaf": "SELECT",
    "tile": "SELECT",
    "head": "SELECT",
    "checkpoint": "SELECT",
}
WORKER_RIGHTS = {
    "entry": "SELECT, INSERT",
    "pending": "SELECT, INSERT, DELETE",
    "leaf": "SELECT, INSERT",
    "tile": "SELECT, INSERT",
    "head": "SELECT, INSERT, UPDATE",
    "checkpoint": "SELECT, INSERT",
}

# The rights above already refuse all of this to the runtime roles. The triggers hold against a
# right granted by mistake, and against the owner too, whose TRUNCATE alone passes: it empties test
# databases, and no runtime role owns a table.
FUNCTIONS = """
CREATE FUNCTION auditlog_refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
    RAISE EXCEPTION '% on % is refused: the audit log only grows', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$body$;

CREATE FUNCTION auditlog_refuse_truncate() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
    IF NOT (SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = TG_RELID) THEN
        RAISE EXCEPTION 'TRUNCATE on % is refused: the audit log only grows', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NULL;
END
$body$;

CREATE FUNCTION auditlog_head_only_grows() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
    IF NEW.account_id IS DISTINCT FROM OLD.account_id
        OR NEW.size < OLD.size
        OR NEW.published_size < OLD.published_size
        OR (NEW.size = OLD.size
            AND (NEW.root, NEW.frontier) IS DISTINCT FROM (OLD.root, OLD.frontier))
    THEN
        RAISE EXCEPTION 'the head of a log only grows' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$body$;

CREATE TRIGGER only_grows BEFORE UPDATE ON auditlog_head
FOR EACH ROW EXECUTE FUNCTION auditlog_head_only_grows();
CREATE TRIGGER never_deleted BEFORE DELETE ON auditlog_head
FOR EACH ROW EXECUTE FUNCTION auditlog_refuse_change();
"""

DROP_FUNCTIONS = """
DROP TRIGGER never_deleted ON auditlog_head;
DROP TRIGGER only_grows ON auditlog_head;
DROP FUNCTION auditlog_head_only_grows();
DROP FUNCTION auditlog_refuse_truncate();
DROP FUNCTION auditlog_refuse_change();
"""


def refuse_change(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"""
        CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE ON auditlog_{table}
        FOR EACH ROW EXECUTE FUNCTION auditlog_refuse_change();
        """,
        f"DROP TRIGGER never_changed ON auditlog_{table}",
    )


def refuse_truncate(table: str) -> migrations.RunSQL:
    return migrations.RunSQL(
        f"""
        CREATE TRIGGER never_truncated BEFORE TRUNCATE ON auditlog_{table}
        FOR EACH STATEMENT EXECUTE FUNCTION auditlog_refuse_truncate();
        """,
        f"DROP TRIGGER never_truncated ON auditlog_{table}",
    )


class Migration(migrations.Migration):
    dependencies = [("auditlog", "0001_log_and_tree")]
    operations = [
        *[rls.enable(f"auditlog_{table}") for table in TABLES],
        *[rls.open_to_worker(f"auditlog_{table}") for table in TABLES],
        *[rls.grant("app", f"auditlog_{table}", rights) for table, rights in APP_RIGHTS.items()],
        *[
            rls.grant("worker", f"auditlog_{table}", rights)
            for table, rights in WORKER_RIGHTS.items()
        ],
        migrations.RunSQL(FUNCTIONS, DROP_FUNCTIONS),
        *[refuse_change(table) for table in INSERT_ONLY],
        *[refuse_truncate(table) for table in (*INSERT_ONLY, "head")],
    ]
