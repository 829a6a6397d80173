from django.db import migrations

from queensmtp import rls

TABLE = "contacts_suppression"


class Migration(migrations.Migration):
    dependencies = [("contacts", "0001_suppressions"), ("accounts", "0003_row_level_security")]

    operations = [
        rls.enable(TABLE),
        # No DELETE: what was taken back stays, with who did it.
        rls.grant("app", TABLE, "SELECT, INSERT, UPDATE"),
        # Workers look before they deliver, and add what bounced or complained.
        rls.open_to_worker(TABLE),
        rls.grant("worker", TABLE, "SELECT, INSERT, UPDATE"),
    ]
