from django.db import migrations

# CREATE … PARTITION OF would wait for every reader of the parent: create alike, then attach.
CREATE = """
CREATE FUNCTION partition_bound(week timestamp) RETURNS uuid LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, public, pg_temp AS $body$
    SELECT (lpad(to_hex((extract(epoch FROM week) * 1000)::bigint), 12, '0')
            || repeat('0', 20))::uuid
$body$;

CREATE FUNCTION ensure_partitions(first_week integer, last_week integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE
    parent name;
    child name;
    week timestamp;
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('ensure_partitions'));
    FOR parent IN
        SELECT c.relname FROM pg_partitioned_table p
        JOIN pg_class c ON c.oid = p.partrelid
        WHERE c.relnamespace = 'public'::regnamespace
    LOOP
        FOR shift IN first_week..last_week LOOP
            week := date_trunc('week', now() AT TIME ZONE 'UTC') + shift * interval '7 days';
            child := parent || '_' || to_char(week, 'YYYYMMDD');
            CONTINUE WHEN to_regclass(format('public.%I', child)) IS NOT NULL;
            EXECUTE format('CREATE TABLE public.%I (LIKE public.%I INCLUDING ALL)', child, parent);
            EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', child);
            EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', child);
            EXECUTE format('REVOKE ALL ON public.%I FROM PUBLIC, app, worker', child);
            EXECUTE format(
                'ALTER TABLE public.%I ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                parent, child,
                public.partition_bound(week), public.partition_bound(week + interval '7 days'));
            made := made + 1;
        END LOOP;
    END LOOP;
    RETURN made;
END
$body$;

REVOKE ALL ON FUNCTION ensure_partitions(integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ensure_partitions(integer, integer) TO worker;
GRANT USAGE ON SCHEMA public TO app, worker, lookup;
"""

DROP = """
DROP FUNCTION ensure_partitions(integer, integer);
DROP FUNCTION partition_bound(timestamp);
"""


class Migration(migrations.Migration):
    initial = True
    operations = [migrations.RunSQL(CREATE, DROP)]
