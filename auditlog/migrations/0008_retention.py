import django.utils.timezone
from django.db import migrations, models

import queensmtp.ids
from queensmtp import rls

# Nobody can log in as `retention`. What it may do, and no other role, it does in two functions,
# and the trigger lets through only what they do.
LET_RETENTION_PASS = """
CREATE OR REPLACE FUNCTION auditlog_refuse_change() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
    IF current_user = 'retention' AND TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION '% on % is refused: the audit log only grows', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$body$;

CREATE FUNCTION auditlog_refuse_change_of_entry() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
    IF current_user = 'retention' AND TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    IF current_user = 'retention' AND TG_OP = 'UPDATE'
        AND (NEW.salt, NEW.ip) IS NOT DISTINCT FROM (NULL::bytea, NULL::inet)
        AND (NEW.actor_label, NEW.target_label, NEW.user_agent, NEW.client_request_id,
            NEW.changes) = ('', '', '', '', '{}'::jsonb)
        AND (to_jsonb(NEW) - auditlog_personal()) = (to_jsonb(OLD) - auditlog_personal())
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% on % is refused: the audit log only grows', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$body$;

CREATE FUNCTION auditlog_personal() RETURNS text[] LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $body$
    SELECT ARRAY['salt', 'ip', 'actor_label', 'target_label', 'user_agent', 'client_request_id',
        'changes']
$body$;

DROP TRIGGER never_changed ON auditlog_entry;
CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE ON auditlog_entry
FOR EACH ROW EXECUTE FUNCTION auditlog_refuse_change_of_entry();
"""

# An account without a row keeps its entries for the longest time of any plan. Postgres's clock is
# asked as well as the worker's: one of them alone deletes nothing.
PRUNE = """
CREATE FUNCTION auditlog_prune(account uuid, before timestamptz, most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE
    kept_days integer;
    deleted integer;
BEGIN
    SELECT greatest(plan_days, coalesce(chosen_days, 0)) INTO kept_days
    FROM auditlog_retention WHERE account_id = account;
    IF before > now() - make_interval(days => coalesce(kept_days, 365)) THEN
        RAISE EXCEPTION 'entries of % are kept for % days', account, coalesce(kept_days, 365)
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    DELETE FROM auditlog_entry WHERE account_id = account AND id IN (
        SELECT e.id FROM auditlog_entry e
        JOIN auditlog_leaf l ON l.account_id = e.account_id AND l.entry_id = e.id
        WHERE e.account_id = account AND e.created_at < before
            AND e.id < (lpad(to_hex((extract(epoch FROM before) * 1000)::bigint + 60000), 12, '0')
                || repeat('0', 20))::uuid
        ORDER BY e.id LIMIT most
    );
    GET DIAGNOSTICS deleted = ROW_COUNT;
    RETURN deleted;
END
$body$;

CREATE FUNCTION auditlog_erase(account uuid, entries uuid[]) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE
    erased integer;
BEGIN
    UPDATE auditlog_entry SET salt = NULL, ip = NULL, actor_label = '', target_label = '',
        user_agent = '', client_request_id = '', changes = '{}'
    WHERE account_id = account AND id = ANY (entries) AND salt IS NOT NULL
        AND EXISTS (SELECT FROM auditlog_leaf l WHERE l.account_id = account AND l.entry_id = id);
    GET DIAGNOSTICS erased = ROW_COUNT;
    RETURN erased;
END
$body$;

REVOKE ALL ON FUNCTION auditlog_prune(uuid, timestamptz, integer) FROM PUBLIC;
REVOKE ALL ON FUNCTION auditlog_erase(uuid, uuid[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auditlog_prune(uuid, timestamptz, integer) TO worker;
GRANT EXECUTE ON FUNCTION auditlog_erase(uuid, uuid[]) TO worker;
GRANT USAGE ON SCHEMA public TO retention;
GRANT CREATE ON SCHEMA public TO retention;
ALTER FUNCTION auditlog_prune(uuid, timestamptz, integer) OWNER TO retention;
ALTER FUNCTION auditlog_erase(uuid, uuid[]) OWNER TO retention;
REVOKE CREATE ON SCHEMA public FROM retention;
"""

DAYS_HOLD = """
ALTER TABLE auditlog_retention ADD CHECK (plan_days >= 90),
    ADD CHECK (chosen_days IS NULL OR chosen_days >= plan_days);
"""

# Days are only ever raised, save by a change of plan.
ONLY_UPWARD = """
CREATE FUNCTION auditlog_retention_only_upward() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
    IF NEW.account_id IS DISTINCT FROM OLD.account_id
        OR coalesce(NEW.chosen_days, 0) < coalesce(OLD.chosen_days, 0)
    THEN
        RAISE EXCEPTION 'the retention of a log is only raised'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$body$;
CREATE TRIGGER only_upward BEFORE UPDATE ON auditlog_retention
FOR EACH ROW EXECUTE FUNCTION auditlog_retention_only_upward();
"""


class Migration(migrations.Migration):
    dependencies = [("auditlog", "0007_postings")]
    operations = [
        migrations.CreateModel(
            name="Retention",
            fields=[
                ("account_id", models.UUIDField(primary_key=True, serialize=False)),
                ("plan_days", models.IntegerField()),
                ("chosen_days", models.IntegerField(null=True)),
                ("pruned_before", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            name="RetentionClock",
            fields=[
                ("id", models.SmallIntegerField(primary_key=True, serialize=False)),
                ("last_seen_at", models.DateTimeField()),
                ("confirmations", models.IntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="Erasure",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=queensmtp.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("account_id", models.UUIDField()),
                ("filters", models.JSONField(default=dict)),
                ("asked_by_type", models.TextField()),
                ("asked_by_id", models.TextField()),
                ("asked_by_label", models.TextField(blank=True)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("entry_count", models.IntegerField(default=0)),
                ("finished_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["account_id", "id"], name="audit_erasure_newest"),
                    models.Index(
                        condition=models.Q(("finished_at", None)),
                        fields=["created_at"],
                        name="audit_erasure_waiting",
                    ),
                ],
            },
        ),
        migrations.RunSQL(DAYS_HOLD, migrations.RunSQL.noop),
        migrations.RunSQL(
            ONLY_UPWARD,
            "DROP TRIGGER only_upward ON auditlog_retention;"
            " DROP FUNCTION auditlog_retention_only_upward();",
        ),
        rls.enable("auditlog_retention"),
        rls.open_to_worker("auditlog_retention"),
        rls.open_to("retention", "auditlog_retention", command="SELECT"),
        rls.grant("app", "auditlog_retention", "SELECT, INSERT, UPDATE"),
        rls.grant("worker", "auditlog_retention", "SELECT, UPDATE (pruned_before)"),
        rls.grant("retention", "auditlog_retention", "SELECT"),
        rls.grant("worker", "auditlog_retentionclock", "SELECT, INSERT, UPDATE"),
        rls.enable("auditlog_erasure"),
        rls.open_to_worker("auditlog_erasure"),
        rls.grant("app", "auditlog_erasure", "SELECT, INSERT"),
        rls.grant("worker", "auditlog_erasure", "SELECT, UPDATE"),
        rls.open_to("retention", "auditlog_entry"),
        rls.open_to("retention", "auditlog_leaf", command="SELECT"),
        rls.grant("retention", "auditlog_entry", "SELECT, UPDATE, DELETE"),
        rls.grant("retention", "auditlog_leaf", "SELECT"),
        migrations.RunSQL(LET_RETENTION_PASS, migrations.RunSQL.noop),
        migrations.RunSQL(
            PRUNE,
            "DROP FUNCTION auditlog_prune(uuid, timestamptz, integer);"
            " DROP FUNCTION auditlog_erase(uuid, uuid[]);",
        ),
    ]
