from django.db import migrations, models

# The key begins with the account: an index on the id alone would tempt the planner to walk through
# every tenant's entries to find the newest of one.
CREATE_ENTRY = """
CREATE TABLE "auditlog_entry" (
    "id" uuid NOT NULL,
    "account_id" uuid NOT NULL,
    "created_at" timestamp with time zone NOT NULL,
    "version" smallint NOT NULL,
    "event" text COLLATE "C" NOT NULL,
    "outcome" text NOT NULL CHECK ("outcome" IN ('allowed', 'refused', 'failed')),
    "actor_type" text NOT NULL CHECK ("actor_type" IN ('user', 'key', 'system')),
    "actor_id" text NOT NULL,
    "key_id" uuid,
    "request_id" text NOT NULL,
    "target_type" text NOT NULL,
    "target_id" text NOT NULL,
    "labels" jsonb NOT NULL,
    "count" integer NOT NULL CHECK ("count" > 0),
    "private_hash" bytea NOT NULL CHECK (octet_length("private_hash") = 32),
    "salt" bytea CHECK (octet_length("salt") = 16),
    "actor_label" text NOT NULL,
    "target_label" text NOT NULL,
    "ip" inet,
    "user_agent" text NOT NULL,
    "client_request_id" text NOT NULL,
    "changes" jsonb NOT NULL,
    "ordinary_read" boolean NOT NULL,
    PRIMARY KEY ("account_id", "id")
) PARTITION BY RANGE ("id")
"""

ENTRY = migrations.CreateModel(
    name="Entry",
    fields=[
        ("id", models.UUIDField(primary_key=True, serialize=False)),
        ("account_id", models.UUIDField()),
        ("created_at", models.DateTimeField()),
        ("version", models.SmallIntegerField()),
        ("event", models.TextField(db_collation="C")),
        ("outcome", models.TextField()),
        ("actor_type", models.TextField()),
        ("actor_id", models.TextField()),
        ("key_id", models.UUIDField(null=True)),
        ("request_id", models.TextField()),
        ("target_type", models.TextField()),
        ("target_id", models.TextField()),
        ("labels", models.JSONField()),
        ("count", models.IntegerField()),
        ("private_hash", models.BinaryField()),
        ("salt", models.BinaryField(null=True)),
        ("actor_label", models.TextField()),
        ("target_label", models.TextField()),
        ("ip", models.GenericIPAddressField(null=True)),
        ("user_agent", models.TextField()),
        ("client_request_id", models.TextField()),
        ("changes", models.JSONField()),
        ("ordinary_read", models.BooleanField()),
    ],
)

ENTRY_INDEXES = [
    models.Index(fields=["account_id", "key_id", "id"], name="auditlog_entry_by_key"),
    models.Index(fields=["account_id", "event", "id"], name="auditlog_entry_by_event"),
    models.Index(fields=["account_id", "ip", "id"], name="auditlog_entry_by_ip"),
    models.Index(
        condition=models.Q(("ordinary_read", False)),
        fields=["account_id", "id"],
        name="auditlog_entry_no_reads",
    ),
]

TREE = [
    migrations.CreateModel(
        name="Pending",
        fields=[
            ("entry_id", models.UUIDField(primary_key=True, serialize=False)),
            ("account_id", models.UUIDField()),
            ("leaf_hash", models.BinaryField()),
        ],
        options={
            "indexes": [models.Index(fields=["account_id", "entry_id"], name="auditlog_pending_of")]
        },
    ),
    migrations.CreateModel(
        name="Leaf",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "account_id",
                    "leaf_index",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("account_id", models.UUIDField()),
            ("leaf_index", models.BigIntegerField()),
            ("entry_id", models.UUIDField()),
            ("hash", models.BinaryField()),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("account_id", "entry_id"), name="auditlog_leaf_one_of_an_entry"
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="Tile",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "account_id",
                    "level",
                    "number",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("account_id", models.UUIDField()),
            ("level", models.SmallIntegerField()),
            ("number", models.BigIntegerField()),
            ("hashes", models.BinaryField()),
            ("root", models.BinaryField()),
        ],
    ),
    migrations.CreateModel(
        name="Head",
        fields=[
            ("account_id", models.UUIDField(primary_key=True, serialize=False)),
            ("size", models.BigIntegerField()),
            ("root", models.BinaryField()),
            ("frontier", models.BinaryField()),
            ("note", models.TextField()),
            ("updated_at", models.DateTimeField()),
            ("published_size", models.BigIntegerField(default=0)),
            ("published_at", models.DateTimeField(null=True)),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(("size__gt", models.F("published_size"))),
                    fields=["published_at"],
                    name="auditlog_head_unpublished",
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="Checkpoint",
        fields=[
            (
                "pk",
                models.CompositePrimaryKey(
                    "account_id",
                    "size",
                    blank=True,
                    editable=False,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("account_id", models.UUIDField()),
            ("size", models.BigIntegerField()),
            ("root", models.BinaryField()),
            ("note", models.TextField()),
            ("published_at", models.DateTimeField()),
        ],
    ),
]

HASHES_ARE_WHOLE = """
ALTER TABLE auditlog_pending ADD CHECK (octet_length(leaf_hash) = 32);
ALTER TABLE auditlog_leaf ADD CHECK (octet_length(hash) = 32);
ALTER TABLE auditlog_tile ADD CHECK (octet_length(hashes) = 8192),
    ADD CHECK (octet_length(root) = 32);
ALTER TABLE auditlog_head ADD CHECK (size > 0), ADD CHECK (octet_length(root) = 32);
ALTER TABLE auditlog_checkpoint ADD CHECK (size > 0), ADD CHECK (octet_length(root) = 32);
"""

# Pending rows live for a second: without this, dead ones pile up in front of the living.
VACUUM_PENDING = """
ALTER TABLE auditlog_pending
SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = [("queensmtp", "0001_partition_functions")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(CREATE_ENTRY, 'DROP TABLE "auditlog_entry"')],
            state_operations=[ENTRY],
        ),
        *[migrations.AddIndex(model_name="entry", index=index) for index in ENTRY_INDEXES],
        *TREE,
        migrations.RunSQL(HASHES_ARE_WHOLE, migrations.RunSQL.noop),
        migrations.RunSQL(VACUUM_PENDING, migrations.RunSQL.noop),
    ]
