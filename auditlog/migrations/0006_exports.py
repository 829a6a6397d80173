import django.utils.timezone
from django.db import migrations, models

import queensmtp.ids
from queensmtp import rls

STATUSES = ["queued", "running", "ready", "failed", "canceled"]


class Migration(migrations.Migration):
    dependencies = [("auditlog", "0005_publication")]
    operations = [
        migrations.CreateModel(
            name="Export",
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
                    "format",
                    models.TextField(choices=[("jsonl", "JSON Lines"), ("csv", "CSV")]),
                ),
                ("filters", models.JSONField(default=dict)),
                ("proofs", models.BooleanField(default=False)),
                (
                    "status",
                    models.TextField(
                        choices=[(one, one.title()) for one in STATUSES], default="queued"
                    ),
                ),
                ("entry_id", models.UUIDField()),
                ("asked_by_type", models.TextField()),
                ("asked_by_id", models.TextField()),
                ("asked_by_label", models.TextField(blank=True)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("due_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("fence", models.IntegerField(default=0)),
                ("started_at", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("rows_done", models.BigIntegerField(default=0)),
                ("rows_total", models.BigIntegerField(null=True)),
                ("byte_count", models.BigIntegerField(null=True)),
                ("sha256", models.TextField(blank=True)),
                ("tree_size", models.BigIntegerField(null=True)),
                ("problem", models.TextField(blank=True)),
                ("expires_at", models.DateTimeField(null=True)),
                ("removed_at", models.DateTimeField(null=True)),
            ],
            options={
                "indexes": [
                    models.Index(fields=["account_id", "id"], name="audit_export_newest"),
                    models.Index(
                        condition=models.Q(("status__in", ["queued", "running"])),
                        fields=["due_at"],
                        name="audit_export_due",
                    ),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("status__in", STATUSES)),
                        name="audit_export_status_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("format__in", ["jsonl", "csv"])),
                        name="audit_export_format_is_known",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("status", "ready"), _negated=True),
                            models.Q(
                                ("byte_count__isnull", False),
                                ("expires_at__isnull", False),
                                ("tree_size__isnull", False),
                            ),
                            _connector="OR",
                        ),
                        name="audit_export_that_is_ready_has_a_file",
                    ),
                ],
            },
        ),
        rls.enable("auditlog_export"),
        rls.open_to_worker("auditlog_export"),
        rls.grant("app", "auditlog_export", "SELECT, INSERT, UPDATE"),
        rls.grant("worker", "auditlog_export", "SELECT, UPDATE, DELETE"),
    ]
