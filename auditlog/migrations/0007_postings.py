from django.db import migrations, models

from queensmtp import rls

# The postings answer what these did, for every pair of filters, and cost a request nothing.
NEEDLESS = ("actor", "kind", "outcome", "event", "ip")

CREATE_POSTING = """
CREATE TABLE auditlog_posting (
    account_id uuid NOT NULL,
    segment integer NOT NULL,
    token text COLLATE "C" NOT NULL,
    places bytea NOT NULL,
    PRIMARY KEY (account_id, token, segment)
);
CREATE INDEX auditlog_posting_of_segment ON auditlog_posting (account_id, segment);
ALTER TABLE auditlog_posting ALTER COLUMN places SET STORAGE EXTERNAL;
"""


def composite(*fields: str) -> models.CompositePrimaryKey:
    return models.CompositePrimaryKey(
        *fields, blank=True, editable=False, primary_key=True, serialize=False
    )


POSTING = migrations.CreateModel(
    name="Posting",
    fields=[
        ("pk", composite("account_id", "token", "segment")),
        ("account_id", models.UUIDField()),
        ("segment", models.IntegerField()),
        ("token", models.TextField(db_collation="C")),
        ("places", models.BinaryField()),
    ],
)

SEGMENT = migrations.CreateModel(
    name="Segment",
    fields=[
        ("pk", composite("account_id", "number")),
        ("account_id", models.UUIDField()),
        ("number", models.IntegerField()),
        ("lowest", models.UUIDField()),
        ("highest", models.UUIDField()),
    ],
)


class Migration(migrations.Migration):
    dependencies = [("auditlog", "0006_exports")]
    operations = [
        *[
            migrations.RemoveIndex(model_name="entry", name=f"auditlog_entry_by_{name}")
            for name in NEEDLESS
        ],
        migrations.DeleteModel("Word"),
        # Segments are filled from the beginning.
        migrations.RunSQL("TRUNCATE auditlog_indexed", migrations.RunSQL.noop),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(CREATE_POSTING, "DROP TABLE auditlog_posting")],
            state_operations=[POSTING],
        ),
        SEGMENT,
        rls.enable("auditlog_posting"),
        rls.open_to_worker("auditlog_posting"),
        rls.grant("app", "auditlog_posting", "SELECT"),
        rls.grant("worker", "auditlog_posting", "SELECT, INSERT, DELETE"),
        rls.enable("auditlog_segment"),
        rls.open_to_worker("auditlog_segment"),
        rls.grant("app", "auditlog_segment", "SELECT"),
        rls.grant("worker", "auditlog_segment", "SELECT, INSERT, DELETE"),
    ]
