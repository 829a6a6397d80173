import django.contrib.postgres.fields
from django.db import migrations, models

from queensmtp import rls


class Migration(migrations.Migration):
    dependencies = [
        ("sending", "0004_suppressed_recipients"),
    ]

    operations = [
        migrations.CreateModel(
            name="MtaStsPolicy",
            fields=[
                ("domain", models.CharField(max_length=253, primary_key=True, serialize=False)),
                ("policy_id", models.CharField(max_length=32)),
                (
                    "mode",
                    models.CharField(
                        choices=[("enforce", "enforce"), ("testing", "testing"), ("none", "none")],
                        max_length=8,
                    ),
                ),
                (
                    "hosts",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=255), size=None
                    ),
                ),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
        ),
        rls.grant("worker", "sending_mtastspolicy", "SELECT, INSERT, UPDATE, DELETE"),
    ]
