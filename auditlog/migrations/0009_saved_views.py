import django.utils.timezone
from django.db import migrations, models

import queensmtp.ids
from queensmtp import rls


class Migration(migrations.Migration):
    dependencies = [("auditlog", "0008_retention")]
    operations = [
        migrations.CreateModel(
            name="SavedView",
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
                ("owner_id", models.TextField()),
                ("owner_label", models.TextField(blank=True)),
                ("name", models.TextField()),
                ("query", models.TextField()),
                ("is_shared", models.BooleanField(default=False)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("account_id", "owner_id", "name"), name="audit_view_has_one_name"
                    )
                ]
            },
        ),
        rls.enable("auditlog_savedview"),
        rls.grant("app", "auditlog_savedview", "SELECT, INSERT, UPDATE, DELETE"),
    ]
