import django.db.models.deletion
from django.db import migrations, models

import queensmtp.ids
from queensmtp import partitions, rls

DELIVERY_COLUMNS = """
    "id" uuid NOT NULL,
    "account_id" uuid NOT NULL,
    "endpoint_id" uuid NOT NULL,
    "event_id" uuid NOT NULL,
    "event_type" text NOT NULL,
    "body" bytea NOT NULL,
    "state" text NOT NULL
        CHECK ("state" IN ('pending', 'sending', 'delivered', 'failed', 'canceled')),
    "attempt_count" integer NOT NULL,
    "due_at" timestamp with time zone NOT NULL,
    "fence" integer NOT NULL,
    "finished_at" timestamp with time zone,
    "last_status" integer,
    "last_reason" text NOT NULL,
    "last_latency_milliseconds" integer,
    CHECK (("finished_at" IS NULL) = ("state" IN ('pending', 'sending')))
"""

DELIVERY = migrations.CreateModel(
    name="Delivery",
    fields=[
        (
            "id",
            models.UUIDField(
                default=queensmtp.ids.new_id, editable=False, primary_key=True, serialize=False
            ),
        ),
        ("account_id", models.UUIDField()),
        ("event_id", models.UUIDField()),
        ("event_type", models.TextField()),
        ("body", models.BinaryField()),
        (
            "state",
            models.TextField(
                choices=[
                    ("pending", "Pending"),
                    ("sending", "Sending"),
                    ("delivered", "Delivered"),
                    ("failed", "Failed"),
                    ("canceled", "Canceled"),
                ],
                default="pending",
            ),
        ),
        ("attempt_count", models.IntegerField(default=0)),
        ("due_at", models.DateTimeField()),
        ("fence", models.IntegerField(default=0)),
        ("finished_at", models.DateTimeField(null=True)),
        ("last_status", models.IntegerField(null=True)),
        ("last_reason", models.TextField(blank=True, default="")),
        ("last_latency_milliseconds", models.IntegerField(null=True)),
        (
            "endpoint",
            models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="deliveries",
                to="webhooks.endpoint",
            ),
        ),
    ],
)

DELIVERY_INDEXES = [
    models.Index(fields=["account_id", "endpoint", "id"], name="webhook_delivery_newest"),
    models.Index(
        condition=models.Q(("state__in", ["pending", "sending"])),
        fields=["endpoint", "due_at"],
        name="webhook_delivery_due",
    ),
]

ATTEMPT_COLUMNS = """
    "id" uuid NOT NULL,
    "account_id" uuid NOT NULL,
    "delivery_id" uuid NOT NULL,
    "number" integer NOT NULL,
    "sent_at" timestamp with time zone NOT NULL,
    "status" integer,
    "reason" text NOT NULL,
    "latency_milliseconds" integer,
    "response" text NOT NULL
"""

ATTEMPT = migrations.CreateModel(
    name="Attempt",
    fields=[
        (
            "id",
            models.UUIDField(
                default=queensmtp.ids.new_id, editable=False, primary_key=True, serialize=False
            ),
        ),
        ("account_id", models.UUIDField()),
        ("delivery_id", models.UUIDField()),
        ("number", models.IntegerField()),
        ("sent_at", models.DateTimeField()),
        ("status", models.IntegerField(null=True)),
        ("reason", models.TextField(blank=True, default="")),
        ("latency_milliseconds", models.IntegerField(null=True)),
        ("response", models.TextField(blank=True, default="")),
    ],
)

ATTEMPT_INDEX = models.Index(
    fields=["account_id", "delivery_id", "id"], name="webhook_attempt_of_delivery"
)


class Migration(migrations.Migration):
    dependencies = [
        ("queensmtp", "0001_partition_functions"),
        ("webhooks", "0001_endpoints_and_secrets"),
    ]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[partitions.create("webhooks_delivery", DELIVERY_COLUMNS)],
            state_operations=[DELIVERY],
        ),
        *[migrations.AddIndex(model_name="delivery", index=index) for index in DELIVERY_INDEXES],
        rls.tenant_foreign_key("webhooks_delivery", "endpoint_id", "webhooks_endpoint"),
        migrations.SeparateDatabaseAndState(
            database_operations=[partitions.create("webhooks_attempt", ATTEMPT_COLUMNS)],
            state_operations=[ATTEMPT],
        ),
        migrations.AddIndex(model_name="attempt", index=ATTEMPT_INDEX),
    ]
