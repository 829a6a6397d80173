import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import queensmtp.ids
from queensmtp import partitions
from sending.states import State

MESSAGE_COLUMNS = """
    "id" uuid NOT NULL,
    "account_id" uuid NOT NULL,
    "key_id" uuid,
    "domain_id" uuid NOT NULL,
    "environment" varchar(16) NOT NULL,
    "via" varchar(8) NOT NULL CHECK ("via" IN ('api', 'batch', 'smtp')),
    "request_id" varchar(36) NOT NULL,
    "message_id" varchar(320) NOT NULL,
    "sender" varchar(998) NOT NULL,
    "sender_address" varchar(320) NOT NULL,
    "to" varchar(998)[] NOT NULL,
    "cc" varchar(998)[],
    "bcc" varchar(998)[],
    "reply_to" varchar(998)[],
    "subject" text NOT NULL,
    "tags" jsonb NOT NULL,
    "content" bytea,
    "size" integer NOT NULL,
    "scheduled_at" timestamptz,
    "created_at" timestamptz NOT NULL,
    CONSTRAINT sending_message_account_id_id_key UNIQUE ("account_id", "id")
"""

RECIPIENT_COLUMNS = """
    "id" uuid NOT NULL,
    "account_id" uuid NOT NULL,
    "message_id" uuid NOT NULL,
    "kind" varchar(3) NOT NULL CHECK ("kind" IN ('to', 'cc', 'bcc')),
    "address" varchar(320) NOT NULL,
    "domain" varchar(253) NOT NULL,
    "state" varchar(10) NOT NULL CHECK ("state" IN ('scheduled', 'queued', 'sending', 'sent',
        'delivered', 'deferred', 'in_doubt', 'bounced', 'failed', 'suppressed', 'canceled')),
    "attempts" smallint NOT NULL,
    "in_doubt_count" smallint NOT NULL,
    "due_at" timestamptz NOT NULL,
    "lease_token" bigint,
    "leased_until" timestamptz,
    "smtp_code" smallint,
    "enhanced_code" varchar(12) NOT NULL,
    "reply" text NOT NULL,
    "mx_host" varchar(253) NOT NULL,
    "tls_version" varchar(16) NOT NULL,
    "tls_cipher" varchar(64) NOT NULL,
    "finished_at" timestamptz,
    CONSTRAINT sending_recipient_leased CHECK (
        ("state" = 'sending') = ("lease_token" IS NOT NULL AND "leased_until" IS NOT NULL))
"""

EVENT_COLUMNS = """
    "id" uuid NOT NULL,
    "account_id" uuid NOT NULL,
    "message_id" uuid NOT NULL,
    "recipient_id" uuid NOT NULL,
    "type" varchar(32) NOT NULL,
    "created_at" timestamptz NOT NULL,
    "data" jsonb NOT NULL
"""

MESSAGE = migrations.CreateModel(
    name="Message",
    fields=[
        (
            "id",
            models.UUIDField(
                default=queensmtp.ids.new_id, editable=False, primary_key=True, serialize=False
            ),
        ),
        ("key_id", models.UUIDField(null=True)),
        ("environment", models.CharField(max_length=16)),
        ("via", models.CharField(max_length=8)),
        ("request_id", models.CharField(max_length=36)),
        ("message_id", models.CharField(max_length=320)),
        ("sender", models.CharField(max_length=998)),
        ("sender_address", models.CharField(max_length=320)),
        (
            "to",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=998), size=None
            ),
        ),
        (
            "cc",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=998), null=True, size=None
            ),
        ),
        (
            "bcc",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=998), null=True, size=None
            ),
        ),
        (
            "reply_to",
            django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(max_length=998), null=True, size=None
            ),
        ),
        ("subject", models.TextField()),
        ("tags", models.JSONField(default=list)),
        ("content", models.BinaryField(null=True)),
        ("size", models.PositiveIntegerField()),
        ("scheduled_at", models.DateTimeField(null=True)),
        ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
        (
            "account",
            models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.account",
            ),
        ),
        (
            "domain",
            models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="domains.domain",
            ),
        ),
    ],
)

RECIPIENT = migrations.CreateModel(
    name="Recipient",
    fields=[
        (
            "id",
            models.UUIDField(
                default=queensmtp.ids.new_id, editable=False, primary_key=True, serialize=False
            ),
        ),
        (
            "kind",
            models.CharField(choices=[("to", "To"), ("cc", "Cc"), ("bcc", "Bcc")], max_length=3),
        ),
        ("address", models.CharField(max_length=320)),
        ("domain", models.CharField(max_length=253)),
        (
            "state",
            models.CharField(
                choices=[
                    ("scheduled", "scheduled"),
                    ("queued", "queued"),
                    ("sending", "sending"),
                    ("sent", "sent"),
                    ("delivered", "delivered"),
                    ("deferred", "deferred"),
                    ("in_doubt", "in_doubt"),
                    ("bounced", "bounced"),
                    ("failed", "failed"),
                    ("suppressed", "suppressed"),
                    ("canceled", "canceled"),
                ],
                default=State.QUEUED,
                max_length=10,
            ),
        ),
        ("attempts", models.PositiveSmallIntegerField(default=0)),
        ("in_doubt_count", models.PositiveSmallIntegerField(default=0)),
        ("due_at", models.DateTimeField(default=django.utils.timezone.now)),
        ("lease_token", models.BigIntegerField(null=True)),
        ("leased_until", models.DateTimeField(null=True)),
        ("smtp_code", models.PositiveSmallIntegerField(null=True)),
        ("enhanced_code", models.CharField(blank=True, default="", max_length=12)),
        ("reply", models.TextField(blank=True, default="")),
        ("mx_host", models.CharField(blank=True, default="", max_length=253)),
        ("tls_version", models.CharField(blank=True, default="", max_length=16)),
        ("tls_cipher", models.CharField(blank=True, default="", max_length=64)),
        ("finished_at", models.DateTimeField(null=True)),
        (
            "account",
            models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.account",
            ),
        ),
        (
            "message",
            models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="recipients",
                to="sending.message",
            ),
        ),
    ],
)

EVENT = migrations.CreateModel(
    name="DeliveryEvent",
    fields=[
        (
            "id",
            models.UUIDField(
                default=queensmtp.ids.new_id, editable=False, primary_key=True, serialize=False
            ),
        ),
        ("recipient_id", models.UUIDField()),
        ("type", models.CharField(max_length=32)),
        ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
        ("data", models.JSONField(default=dict)),
        (
            "account",
            models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.account",
            ),
        ),
        (
            "message",
            models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="events",
                to="sending.message",
            ),
        ),
    ],
)


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        ("queensmtp", "0001_partition_functions"),
        ("accounts", "0004_grant_sign_in_tables"),
        ("domains", "0001_domains_and_dkim_keys"),
    ]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                partitions.create("sending_message", MESSAGE_COLUMNS),
                partitions.create("sending_recipient", RECIPIENT_COLUMNS),
                partitions.create("sending_deliveryevent", EVENT_COLUMNS),
            ],
            state_operations=[MESSAGE, EVENT, RECIPIENT],
        ),
        migrations.CreateModel(
            name="IdempotentRequest",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=queensmtp.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("endpoint", models.CharField(max_length=32)),
                ("key_digest", models.BinaryField(max_length=32)),
                ("fingerprint", models.BinaryField(max_length=32)),
                ("answer", models.JSONField()),
                ("expires_at", models.DateTimeField(db_index=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account", "endpoint", "key_digest"), name="idempotent_request_once"
                    )
                ],
            },
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(fields=["account", "id"], name="message_newest"),
        ),
        migrations.AddIndex(
            model_name="message",
            index=models.Index(fields=["account", "key_id", "id"], name="message_by_key"),
        ),
        migrations.AddIndex(
            model_name="deliveryevent",
            index=models.Index(fields=["account", "message", "id"], name="event_of_message"),
        ),
        migrations.AddIndex(
            model_name="recipient",
            index=models.Index(fields=["account", "message"], name="recipient_of_message"),
        ),
        migrations.AddIndex(
            model_name="recipient",
            index=models.Index(fields=["account", "address", "id"], name="recipient_by_address"),
        ),
        migrations.AddIndex(
            model_name="recipient",
            index=models.Index(
                condition=models.Q(("state__in", [State.DEFERRED, State.IN_DOUBT, State.QUEUED])),
                fields=["due_at"],
                name="recipient_due",
            ),
        ),
        migrations.AddIndex(
            model_name="recipient",
            index=models.Index(
                condition=models.Q(("state", "sending")),
                fields=["leased_until"],
                name="recipient_leased",
            ),
        ),
    ]
