import django.utils.timezone
from django.db import migrations, models

import queensmtp.ids
from queensmtp import rls


class Migration(migrations.Migration):
    dependencies = [("auditlog", "0009_saved_views")]
    operations = [
        migrations.CreateModel(
            name="Stream",
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
                ("account_id", models.UUIDField()),
                (
                    "kind",
                    models.TextField(choices=[("https", "HTTPS"), ("syslog", "Syslog over TLS")]),
                ),
                ("address", models.TextField()),
                (
                    "fields",
                    models.TextField(choices=[("ecs", "Elastic Common Schema"), ("ocsf", "OCSF")]),
                ),
                ("authorization", models.BinaryField(null=True)),
                ("is_enabled", models.BooleanField(default=True)),
                ("next_leaf", models.BigIntegerField(default=0)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("due_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("fence", models.IntegerField(default=0)),
                ("failure_count", models.IntegerField(default=0)),
                ("problem", models.TextField(blank=True)),
                ("sent_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["account_id", "id"], name="audit_stream_newest"),
                    models.Index(
                        condition=models.Q(("is_enabled", True)),
                        fields=["due_at"],
                        name="audit_stream_due",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["https", "syslog"])),
                        name="audit_stream_kind_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("fields__in", ["ecs", "ocsf"])),
                        name="audit_stream_fields_are_known",
                    ),
                ],
            },
        ),
        rls.enable("auditlog_stream"),
        rls.open_to_worker("auditlog_stream"),
        rls.grant("app", "auditlog_stream", "SELECT, INSERT, UPDATE, DELETE"),
        rls.grant("worker", "auditlog_stream", "SELECT, UPDATE"),
    ]
