import django.utils.timezone
from django.db import migrations, models

import queensmtp.ids
from queensmtp import rls

ALARM = migrations.CreateModel(
    name="Alarm",
    fields=[
        (
            "id",
            models.UUIDField(
                default=queensmtp.ids.new_id, editable=False, primary_key=True, serialize=False
            ),
        ),
        ("account_id", models.UUIDField()),
        ("reason", models.TextField()),
        ("found_by", models.TextField()),
        ("found_at", models.DateTimeField(default=django.utils.timezone.now)),
    ],
    options={
        "indexes": [models.Index(fields=["found_at"], name="audit_alarm_newest")],
        "constraints": [
            models.UniqueConstraint(
                fields=("account_id", "reason"), name="audit_alarm_is_raised_once"
            )
        ],
    },
)


class Migration(migrations.Migration):
    dependencies = [("auditlog", "0012_drop_emptied_partitions")]
    operations = [
        ALARM,
        rls.enable("auditlog_alarm"),
        rls.open_to_worker("auditlog_alarm"),
        rls.grant("app", "auditlog_alarm", "SELECT"),
        rls.grant("worker", "auditlog_alarm", "SELECT, INSERT"),
    ]
