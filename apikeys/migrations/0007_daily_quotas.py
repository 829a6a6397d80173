from importlib import import_module

from django.db import migrations, models

from queensmtp import rls

first = import_module("apikeys.migrations.0005_schedules_decoys_and_use")
before = import_module("apikeys.migrations.0006_learning_allowlists")

OLD = rls.definer_function(
    "api_key_by_public_id", args="wanted text", returns=before.COLUMNS, body=before.LOOK_UP
)
LOOK_UP = first.LOOK_UP.format(
    decoy=", k.is_decoy, k.learning_until, k.daily_quota, k.quota_counter_id, a.plan::text"
)
COLUMNS = first.COLUMNS.format(
    decoy=", is_decoy boolean, learning_until timestamptz, daily_quota integer,"
    " quota_counter_id uuid, account_plan text"
)


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0006_learning_allowlists")]

    operations = [
        migrations.AddField("apikey", "daily_quota", models.PositiveIntegerField(null=True)),
        migrations.AddField("apikey", "quota_counter_id", models.UUIDField(null=True)),
        migrations.AddConstraint(
            "apikey",
            models.CheckConstraint(
                condition=models.Q(daily_quota=None) | models.Q(daily_quota__gt=0),
                name="api_key_daily_quota_is_some",
            ),
        ),
        # A function with other columns is another function.
        migrations.RunSQL("DROP FUNCTION api_key_by_public_id(wanted text)", OLD.sql),
        rls.definer_function(
            "api_key_by_public_id", args="wanted text", returns=COLUMNS, body=LOOK_UP
        ),
    ]
