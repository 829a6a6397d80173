from importlib import import_module

from django.db import migrations

from queensmtp import rls

before = import_module("sending.migrations.0006_scheduled_mail")


def standing(columns: str, body: str) -> migrations.RunSQL:
    return rls.definer_function(
        "api_key_standing", args="wanted uuid[]", returns=columns, body=body, roles=("worker",)
    )


OLD = standing(before.COLUMNS, before.STANDING)
IS_STOPPED = "EXISTS (SELECT 1 FROM apikeys_stoppedkey s WHERE s.key_id = k.id)"
STANDING = before.STANDING.replace(
    "\nFROM apikeys_apikey k", f",\n       {IS_STOPPED}\nFROM apikeys_apikey k"
)
COLUMNS = before.COLUMNS.replace("is_leaked boolean", "is_leaked boolean, is_stopped boolean")


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0008_stopped_keys"), ("sending", "0009_quota_counters")]

    operations = [
        # A function with other columns is another function.
        migrations.RunSQL("DROP FUNCTION api_key_standing(wanted uuid[])", OLD.sql),
        standing(COLUMNS, STANDING),
    ]
