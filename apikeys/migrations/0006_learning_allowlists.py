from importlib import import_module

from django.db import migrations, models

from queensmtp import rls

before = import_module("apikeys.migrations.0005_schedules_decoys_and_use")

OLD = before.look_up(with_decoys=True)
LOOK_UP = before.LOOK_UP.format(decoy=", k.is_decoy, k.learning_until")
COLUMNS = before.COLUMNS.format(decoy=", is_decoy boolean, learning_until timestamptz")


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0005_schedules_decoys_and_use")]

    operations = [
        migrations.AddField("apikey", "learning_until", models.DateTimeField(null=True)),
        # A function with other columns is another function.
        migrations.RunSQL(OLD.reverse_sql, OLD.sql),
        rls.definer_function(
            "api_key_by_public_id", args="wanted text", returns=COLUMNS, body=LOOK_UP
        ),
    ]
