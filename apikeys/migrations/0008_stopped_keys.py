import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from queensmtp import rls

TABLE = "apikeys_stoppedkey"


class Migration(migrations.Migration):
    dependencies = [("apikeys", "0007_daily_quotas")]

    operations = [
        migrations.CreateModel(
            name="StoppedKey",
            fields=[
                (
                    "key",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="stop",
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
                (
                    "stopped_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
        ),
        rls.tenant_foreign_key(TABLE, "key_id", "apikeys_apikey"),
        rls.enable(TABLE),
        rls.grant("app", TABLE, "SELECT, INSERT"),
        # Workers learn whose scheduled mail to cancel.
        rls.open_to("worker", TABLE, command="SELECT"),
        rls.grant("worker", TABLE, "SELECT (key_id, stopped_at)"),
        rls.open_to_lookup(TABLE),
    ]
