from django.db import migrations, models

from queensmtp import rls

# Publishing happens under the sealer's lock, so numbers commit in their order, and a reader that
# remembers the last one misses none.
NUMBER = """
ALTER TABLE auditlog_checkpoint ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE
"""

COSIGNATURE = migrations.CreateModel(
    name="Cosignature",
    fields=[
        (
            "pk",
            models.CompositePrimaryKey(
                "account_id",
                "size",
                "witness",
                blank=True,
                editable=False,
                primary_key=True,
                serialize=False,
            ),
        ),
        ("account_id", models.UUIDField()),
        ("size", models.BigIntegerField()),
        ("witness", models.TextField()),
        ("line", models.TextField()),
        ("cosigned_at", models.DateTimeField()),
    ],
)

DISPUTE = migrations.CreateModel(
    name="Dispute",
    fields=[
        ("account_id", models.UUIDField(primary_key=True, serialize=False)),
        ("reason", models.TextField()),
        ("found_at", models.DateTimeField()),
    ],
)

PUBLICATION_REQUEST = migrations.CreateModel(
    name="PublicationRequest",
    fields=[("account_id", models.UUIDField(primary_key=True, serialize=False))],
)

READER = migrations.CreateModel(
    name="Reader",
    fields=[
        ("name", models.TextField(primary_key=True, serialize=False)),
        ("number", models.BigIntegerField(default=0)),
    ],
)

TENANT_TABLES = ("cosignature", "dispute", "publicationrequest")
APP_RIGHTS = {"cosignature": "SELECT", "dispute": "SELECT", "publicationrequest": "SELECT, INSERT"}
WORKER_RIGHTS = {
    "cosignature": "SELECT, INSERT",
    "dispute": "SELECT, INSERT",
    "publicationrequest": "SELECT, INSERT, DELETE",
    "reader": "SELECT, INSERT, UPDATE",
}


class Migration(migrations.Migration):
    dependencies = [("auditlog", "0004_search")]
    operations = [
        migrations.RunSQL(
            NUMBER,
            "ALTER TABLE auditlog_checkpoint DROP COLUMN number",
            state_operations=[
                migrations.AddField(
                    model_name="checkpoint",
                    name="number",
                    field=models.BigIntegerField(unique=True),
                    preserve_default=False,
                )
            ],
        ),
        *(COSIGNATURE, DISPUTE, PUBLICATION_REQUEST, READER),
        *[rls.enable(f"auditlog_{table}") for table in TENANT_TABLES],
        *[rls.open_to_worker(f"auditlog_{table}") for table in TENANT_TABLES],
        *[rls.grant("app", f"auditlog_{table}", rights) for table, rights in APP_RIGHTS.items()],
        *[
            rls.grant("worker", f"auditlog_{table}", rights)
            for table, rights in WORKER_RIGHTS.items()
        ],
        migrations.RunSQL(
            """
            CREATE TRIGGER never_changed BEFORE UPDATE OR DELETE ON auditlog_cosignature
            FOR EACH ROW EXECUTE FUNCTION auditlog_refuse_change();
            CREATE TRIGGER never_truncated BEFORE TRUNCATE ON auditlog_cosignature
            FOR EACH STATEMENT EXECUTE FUNCTION auditlog_refuse_truncate();
            """,
            """
            DROP TRIGGER never_truncated ON auditlog_cosignature;
            DROP TRIGGER never_changed ON auditlog_cosignature;
            """,
        ),
    ]
