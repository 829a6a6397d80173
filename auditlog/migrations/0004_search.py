from django.db import migrations, models

from queensmtp import rls

# Each leads to the newest first, so that a page costs the same however many there are. What keys
# do every second (an allowed request) stands in as few of them as can be.
INDEXES = [
    models.Index(
        fields=["account_id", "actor_id", "id"],
        condition=~models.Q(actor_type="key"),
        name="auditlog_entry_by_actor",
    ),
    models.Index(
        fields=["account_id", "actor_type", "id"],
        condition=~models.Q(actor_type="key"),
        name="auditlog_entry_by_kind",
    ),
    models.Index(
        fields=["account_id", "target_id", "id"],
        condition=~models.Q(target_id=""),
        name="auditlog_entry_by_target",
    ),
    models.Index(
        fields=["account_id", "outcome", "id"],
        condition=~models.Q(outcome="allowed"),
        name="auditlog_entry_by_outcome",
    ),
    models.Index(fields=["account_id", "request_id"], name="auditlog_entry_by_request"),
]

# COLLATE "C": equality only, and the cheapest order.
CREATE_WORD = """
CREATE TABLE auditlog_word (
    account_id uuid NOT NULL,
    word text COLLATE "C" NOT NULL,
    entry_id uuid NOT NULL,
    PRIMARY KEY (account_id, word, entry_id)
);
CREATE INDEX auditlog_word_of_entry ON auditlog_word (account_id, entry_id);
"""

WORD = migrations.CreateModel(
    name="Word",
    fields=[
        (
            "pk",
            models.CompositePrimaryKey(
                "account_id",
                "word",
                "entry_id",
                blank=True,
                editable=False,
                primary_key=True,
                serialize=False,
            ),
        ),
        ("account_id", models.UUIDField()),
        ("word", models.TextField(db_collation="C")),
        ("entry_id", models.UUIDField()),
    ],
)

INDEXED = migrations.CreateModel(
    name="Indexed",
    fields=[
        ("account_id", models.UUIDField(primary_key=True, serialize=False)),
        ("leaf_count", models.BigIntegerField()),
    ],
)


class Migration(migrations.Migration):
    dependencies = [("auditlog", "0003_first_partitions")]
    operations = [
        *[migrations.AddIndex(model_name="entry", index=index) for index in INDEXES],
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(CREATE_WORD, "DROP TABLE auditlog_word")],
            state_operations=[WORD],
        ),
        INDEXED,
        rls.enable("auditlog_word"),
        rls.open_to_worker("auditlog_word"),
        rls.grant("app", "auditlog_word", "SELECT"),
        rls.grant("worker", "auditlog_word", "SELECT, INSERT"),
        rls.enable("auditlog_indexed"),
        rls.open_to_worker("auditlog_indexed"),
        rls.grant("app", "auditlog_indexed", "SELECT"),
        rls.grant("worker", "auditlog_indexed", "SELECT, INSERT, UPDATE"),
    ]
