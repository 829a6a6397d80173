from django.db import migrations

# FORCE binds the owner too, and no policy of a partition lets anybody read it: asked as it stands,
# a full one would look empty. `row_security = off` turns that silence into an error. A lock that
# does not come soon is given up, since whoever writes an entry would wait behind it.
DROP_PARTITION = r"""
CREATE FUNCTION auditlog_drop_partition(child name) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, public, pg_temp SET row_security = off SET lock_timeout = '200ms'
AS $body$
DECLARE
    past uuid;
    is_used boolean;
BEGIN
    SELECT (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([0-9a-f-]{36})''\)'))[1]::uuid
    INTO past FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'public.auditlog_entry'::regclass AND c.relname = child;
    IF past IS NULL
        OR past > public.partition_bound(now() AT TIME ZONE 'UTC' - interval '90 days')
    THEN
        RAISE EXCEPTION '% is no partition of entries that are 90 days old', child
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('ALTER TABLE public.%I NO FORCE ROW LEVEL SECURITY', child);
    EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', child) INTO is_used;
    IF is_used THEN
        RAISE EXCEPTION '% holds entries that are kept', child
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    EXECUTE format('DROP TABLE public.%I', child);
END
$body$;

REVOKE ALL ON FUNCTION auditlog_drop_partition(name) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auditlog_drop_partition(name) TO worker;
"""


class Migration(migrations.Migration):
    dependencies = [("auditlog", "0011_days_follow_the_plan")]
    operations = [
        migrations.RunSQL(DROP_PARTITION, "DROP FUNCTION auditlog_drop_partition(name)"),
    ]
