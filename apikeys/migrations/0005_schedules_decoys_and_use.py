import django.utils.timezone
from django.db import migrations, models

from queensmtp import rls

LOOK_UP = """
SELECT k.id, k.account_id, k.public_id::text, k.digest, k.pepper_version, k.mac,
       k.environment::text, k.scopes::text[], k.domains::text[], k.allowed_cidrs::text[],
       k.allowed_recipients::text[], k.rate_requests, k.rate_per_seconds,
       k.expires_at, k.overlap_ends_at, k.revoked_at,
       k.name::text, k.labels, a.status = 'active'{decoy}
FROM apikeys_apikey k JOIN accounts_account a ON a.id = k.account_id
WHERE k.public_id = wanted
"""

COLUMNS = """TABLE (
    id uuid, account_id uuid, public_id text, digest bytea, pepper_version smallint, mac bytea,
    environment text, scopes text[], domains text[], allowed_cidrs text[],
    allowed_recipients text[], rate_requests integer, rate_per_seconds integer,
    expires_at timestamptz, overlap_ends_at timestamptz, revoked_at timestamptz,
    name text, labels jsonb, account_is_active boolean{decoy}
)"""


def look_up(*, with_decoys: bool) -> migrations.RunSQL:
    return rls.definer_function(
        "api_key_by_public_id",
        args="wanted text",
        returns=COLUMNS.format(decoy=", is_decoy boolean" if with_decoys else ""),
        body=LOOK_UP.format(decoy=", k.is_decoy" if with_decoys else ""),
    )


OLD = look_up(with_decoys=False)

# What reminders and the comparison with the audit log need: never a digest.
SEEN_BY_WORKERS = (
    "id, account_id, name, prefix, last4, mac, expires_at, overlap_ends_at, rotate_every_seconds,"
    " is_decoy, revoked_at, created_at"
)
# Written from the log's leaves by a worker, read by pages and answers.
GATHERED = ("lastuse", "dayofuse", "seennetwork", "gathered")


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0004_wrong_secrets"), ("auditlog", "0001_log_and_tree")]

    operations = [
        migrations.AddField(
            "apikey", "rotate_every_seconds", models.PositiveIntegerField(null=True)
        ),
        migrations.AddField(
            "apikey", "is_decoy", models.BooleanField(default=False, db_default=False)
        ),
        migrations.AddConstraint(
            "apikey",
            models.CheckConstraint(
                condition=models.Q(rotate_every_seconds=None) | models.Q(expires_at__isnull=False),
                name="api_key_schedule_has_deadline",
            ),
        ),
        migrations.AddIndex(
            "apikey",
            models.Index(
                fields=["expires_at"],
                condition=models.Q(revoked_at=None),
                name="api_key_that_will_end",
            ),
        ),
        migrations.CreateModel(
            name="LastUse",
            fields=[
                ("key_id", models.UUIDField(primary_key=True, serialize=False)),
                ("account_id", models.UUIDField()),
                ("used_at", models.DateTimeField()),
                ("ip", models.GenericIPAddressField(null=True)),
                ("user_agent", models.TextField()),
            ],
        ),
        migrations.CreateModel(
            name="DayOfUse",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "key_id",
                        "day",
                        "outcome",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("account_id", models.UUIDField()),
                ("key_id", models.UUIDField()),
                ("day", models.DateField()),
                ("outcome", models.CharField(max_length=16)),
                ("request_count", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="SeenNetwork",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "key_id",
                        "network",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("account_id", models.UUIDField()),
                ("key_id", models.UUIDField()),
                ("network", models.CharField(max_length=43)),
                ("first_seen_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Gathered",
            fields=[
                ("account_id", models.UUIDField(primary_key=True, serialize=False)),
                ("leaf_count", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="Alarm",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "account_id",
                        "kind",
                        "about",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("account_id", models.UUIDField()),
                ("kind", models.CharField(max_length=32)),
                ("about", models.CharField(max_length=150)),
                (
                    "raised_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
        ),
        *[rls.enable(f"apikeys_{table}") for table in (*GATHERED, "alarm")],
        *[rls.open_to_worker(f"apikeys_{table}") for table in (*GATHERED, "alarm")],
        *[rls.grant("app", f"apikeys_{table}", "SELECT") for table in GATHERED],
        *[rls.grant("worker", f"apikeys_{table}", "SELECT, INSERT, UPDATE") for table in GATHERED],
        rls.grant("app", "apikeys_alarm", "SELECT, INSERT"),
        rls.grant("worker", "apikeys_alarm", "SELECT, INSERT"),
        rls.open_to("worker", "apikeys_apikey", command="SELECT"),
        rls.grant("worker", "apikeys_apikey", f"SELECT ({SEEN_BY_WORKERS})"),
        # A function with other columns is another function.
        migrations.RunSQL("DROP FUNCTION api_key_by_public_id(wanted text)", OLD.sql),
        look_up(with_decoys=True),
    ]
