from django.db import migrations, models

from queensmtp import rls

TABLE = "sending_quotacounter"

# Raises, so that the statement which stores the mail is undone with it: counters, message and
# idempotency answer stand or fall together. It runs as its caller, under the tenant's policy.
SPEND = """
CREATE FUNCTION spend_quota(
    account uuid, counters uuid[], periods text[], starts date[], allowances bigint[], cost bigint
) RETURNS bigint[] LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, public, pg_temp AS $body$
DECLARE
    totals bigint[] := '{}';
    total bigint;
BEGIN
    FOR i IN 1 .. cardinality(counters) LOOP
        UPDATE sending_quotacounter q SET used = q.used + cost, allowed = allowances[i]
        WHERE q.account_id = account AND q.counter_id = counters[i]
          AND q.period = periods[i] AND q.starts_on = starts[i]
        RETURNING q.used INTO total;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no counter is open' USING ERRCODE = 'QS001';
        ELSIF total > allowances[i] THEN
            RAISE EXCEPTION 'the quota is used up'
                USING ERRCODE = 'QS002', DETAIL = format('%s %s', i, total - cost);
        END IF;
        totals := totals || total;
    END LOOP;
    RETURN totals;
END
$body$;
REVOKE ALL ON FUNCTION spend_quota FROM PUBLIC;
GRANT EXECUTE ON FUNCTION spend_quota TO app;
"""


class Migration(migrations.Migration):
    dependencies = [("sending", "0008_reactions")]

    operations = [
        migrations.CreateModel(
            name="QuotaCounter",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "account_id",
                        "counter_id",
                        "period",
                        "starts_on",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("account_id", models.UUIDField()),
                ("counter_id", models.UUIDField()),
                (
                    "period",
                    models.CharField(choices=[("day", "Day"), ("month", "Month")], max_length=5),
                ),
                ("starts_on", models.DateField()),
                ("allowed", models.BigIntegerField()),
                ("used", models.BigIntegerField(default=0)),
                ("told_percent", models.PositiveSmallIntegerField(default=0)),
            ],
        ),
        migrations.AddIndex(
            "quotacounter", models.Index(fields=["starts_on"], name="quota_counter_by_start")
        ),
        # Each accept writes its row anew: on the same page, without a new index entry.
        migrations.RunSQL(f"ALTER TABLE {TABLE} SET (fillfactor = 50)", migrations.RunSQL.noop),
        rls.enable(TABLE),
        rls.open_to_worker(TABLE),
        rls.grant("app", TABLE, "SELECT, INSERT, UPDATE"),
        rls.grant("worker", TABLE, "SELECT, UPDATE, DELETE"),
        migrations.RunSQL(SPEND, "DROP FUNCTION spend_quota"),
    ]
