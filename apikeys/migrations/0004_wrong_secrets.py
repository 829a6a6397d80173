from django.db import migrations, models

from queensmtp import rls


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0003_leaked_keys")]

    operations = [
        migrations.CreateModel(
            name="WrongSecret",
            fields=[
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "key_id",
                        "network",
                        "minute",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("account_id", models.UUIDField()),
                ("key_id", models.UUIDField()),
                ("network", models.CharField(max_length=43)),
                ("minute", models.DateTimeField()),
                ("count", models.PositiveIntegerField()),
                ("key_name", models.CharField(max_length=100)),
                ("labels", models.JSONField()),
                ("address", models.GenericIPAddressField(null=True)),
                ("user_agent", models.TextField()),
                ("request_id", models.TextField()),
            ],
            options={
                "indexes": [models.Index(fields=["minute"], name="wrong_secret_by_minute")],
            },
        ),
        rls.enable("apikeys_wrongsecret"),
        # To add one to a row is to read and to update it.
        rls.grant("app", "apikeys_wrongsecret", "SELECT, INSERT, UPDATE"),
        rls.open_to_worker("apikeys_wrongsecret"),
        rls.grant("worker", "apikeys_wrongsecret", "SELECT, DELETE"),
    ]
