from django.db import migrations

DROP = "ALTER TABLE sending_message DROP CONSTRAINT sending_message_via_check"
ADD = """
ALTER TABLE sending_message ADD CONSTRAINT sending_message_via_check
CHECK (via IN ({doors}))
"""
BEFORE = ADD.format(doors="'api', 'batch', 'smtp'")
AFTER = ADD.format(doors="'api', 'batch', 'smtp', 'console'")


class Migration(migrations.Migration):
    dependencies = [("sending", "0006_scheduled_mail")]

    operations = [migrations.RunSQL([DROP, AFTER], [DROP, BEFORE])]
