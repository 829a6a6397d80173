from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("auditlog", "0013_alarms")]
    operations = [
        migrations.AddField("erasure", "leaves", models.BinaryField(default=b"")),
        # The old code, which runs until it is replaced, names no such column.
        migrations.RunSQL(
            r"ALTER TABLE auditlog_erasure ALTER COLUMN leaves SET DEFAULT '\x'",
            migrations.RunSQL.noop,
        ),
    ]
