from django.db import migrations, models

# What holds is the greater of the two, so a plan that gives more than was chosen is no fault.
LET_PLANS_RISE = """
ALTER TABLE auditlog_retention DROP CONSTRAINT auditlog_retention_check;
ALTER TABLE auditlog_retention
    ADD CHECK (chosen_days IS NULL OR chosen_days >= 90),
    ADD CHECK ((falls_to IS NULL) = (falls_at IS NULL)),
    ADD CHECK (falls_to IS NULL OR falls_to BETWEEN 90 AND plan_days - 1);
"""

# A log without a row is kept for 365 days. All of it is judged by Postgres's own clock.
NOT_LOWERED_UNANNOUNCED = """
CREATE OR REPLACE FUNCTION auditlog_retention_only_upward() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
    IF NEW.account_id IS DISTINCT FROM OLD.account_id
        OR coalesce(NEW.chosen_days, 0) < coalesce(OLD.chosen_days, 0)
    THEN
        RAISE EXCEPTION 'the retention of a log is only raised'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF NEW.plan_days < OLD.plan_days
        AND (OLD.falls_at IS NULL OR OLD.falls_at > statement_timestamp()
            OR NEW.plan_days < OLD.falls_to)
    THEN
        RAISE EXCEPTION 'the days of a plan fall only after they were announced'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF (NEW.falls_to, NEW.falls_at) IS DISTINCT FROM (OLD.falls_to, OLD.falls_at)
        AND NEW.falls_at < statement_timestamp() + interval '30 days'
    THEN
        RAISE EXCEPTION 'the days of a plan fall no sooner than in 30 days'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    IF coalesce(NEW.pruned_before, '-infinity') < OLD.pruned_before THEN
        RAISE EXCEPTION 'what was pruned stays pruned' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$body$;

CREATE FUNCTION auditlog_retention_begins() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, public, pg_temp AS $body$
BEGIN
    IF NEW.falls_at IS NOT NULL OR NEW.plan_days < 365
        AND EXISTS (SELECT FROM auditlog_head h WHERE h.account_id = NEW.account_id)
    THEN
        RAISE EXCEPTION 'a log that has begun is kept for 365 days until a fall was announced'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END
$body$;
CREATE TRIGGER begins BEFORE INSERT ON auditlog_retention
FOR EACH ROW EXECUTE FUNCTION auditlog_retention_begins();
"""

# A request chooses days. What the plan gives is carried over by the worker alone.
RIGHTS = """
REVOKE UPDATE ON auditlog_retention FROM app;
GRANT UPDATE (chosen_days) ON auditlog_retention TO app;
GRANT INSERT, UPDATE (plan_days, falls_to, falls_at) ON auditlog_retention TO worker;
"""


class Migration(migrations.Migration):
    dependencies = [("auditlog", "0010_streams")]
    operations = [
        migrations.AddField("retention", "falls_to", models.IntegerField(null=True)),
        migrations.AddField("retention", "falls_at", models.DateTimeField(null=True)),
        migrations.RunSQL(LET_PLANS_RISE, migrations.RunSQL.noop),
        migrations.RunSQL(
            NOT_LOWERED_UNANNOUNCED,
            "DROP TRIGGER begins ON auditlog_retention; DROP FUNCTION auditlog_retention_begins();",
        ),
        migrations.RunSQL(RIGHTS, migrations.RunSQL.noop),
    ]
