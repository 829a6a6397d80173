from django.db import migrations, models

from queensmtp import rls

TABLE = "sending_contentretention"


class Migration(migrations.Migration):
    dependencies = [("sending", "0010_stopped_keys")]

    operations = [
        migrations.CreateModel(
            name="ContentRetention",
            fields=[
                ("account_id", models.UUIDField(primary_key=True, serialize=False)),
                ("days", models.PositiveSmallIntegerField(null=True)),
                ("dropped_before", models.DateTimeField(null=True)),
                ("looked_at", models.DateTimeField(null=True)),
            ],
        ),
        rls.enable(TABLE),
        rls.open_to_worker(TABLE),
        # A request chooses the days; how far contents were dropped is the worker's to say.
        rls.grant("app", TABLE, "SELECT, INSERT, UPDATE (days)"),
        rls.grant("worker", TABLE, "SELECT, INSERT, UPDATE (dropped_before, looked_at)"),
    ]
