from django.db import migrations

from queensmtp import partitions, rls

QUEUE = ("sending_message", "sending_recipient", "sending_deliveryevent")
TABLES = (*QUEUE, "sending_idempotentrequest")

# What is encrypted cannot be compressed: do not try.
UNCOMPRESSED = "ALTER TABLE sending_message ALTER COLUMN content SET STORAGE EXTERNAL"


class Migration(migrations.Migration):
    dependencies = [("sending", "0001_messages_and_queue")]

    operations = [
        migrations.RunSQL(UNCOMPRESSED, migrations.RunSQL.noop),
        # Numbers the claims: an outcome counts only under the newest number of its recipient.
        migrations.RunSQL(
            [
                "CREATE SEQUENCE sending_lease_token",
                "GRANT USAGE ON SEQUENCE sending_lease_token TO worker",
            ],
            "DROP SEQUENCE sending_lease_token",
        ),
        rls.tenant_foreign_key("sending_recipient", "message_id", "sending_message"),
        rls.tenant_foreign_key("sending_deliveryevent", "message_id", "sending_message"),
        *[rls.enable(table) for table in TABLES],
        *[rls.open_to_worker(table) for table in TABLES],
        *[rls.grant("app", table, "SELECT, INSERT") for table in QUEUE],
        # Cancelling and rescheduling change rows of the queue.
        rls.grant("app", "sending_recipient", "UPDATE"),
        rls.grant("app", "sending_idempotentrequest", "SELECT, INSERT, UPDATE"),
        rls.grant("worker", "sending_message", "SELECT, UPDATE"),
        rls.grant("worker", "sending_recipient", "SELECT, UPDATE"),
        rls.grant("worker", "sending_deliveryevent", "SELECT, INSERT"),
        rls.grant("worker", "sending_idempotentrequest", "SELECT, DELETE"),
        partitions.fill(),
    ]
