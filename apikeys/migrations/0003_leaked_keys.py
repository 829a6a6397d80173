import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from queensmtp import rls


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0002_row_level_security")]

    operations = [
        migrations.CreateModel(
            name="LeakedKey",
            fields=[
                (
                    "key",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="leak",
                        serialize=False,
                        to="apikeys.apikey",
                    ),
                ),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
                ("source", models.CharField(blank=True, default="", max_length=100)),
                ("url", models.CharField(blank=True, default="", max_length=2000)),
                (
                    "reported_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
        ),
        rls.tenant_foreign_key("apikeys_leakedkey", "key_id", "apikeys_apikey"),
        rls.enable("apikeys_leakedkey"),
        rls.grant("app", "apikeys_leakedkey", "SELECT, INSERT"),
        # Workers learn which keys leaked, to hold their mail, and nothing else about them.
        rls.open_to("worker", "apikeys_leakedkey", command="SELECT"),
        rls.grant("worker", "apikeys_leakedkey", "SELECT (key_id)"),
    ]
