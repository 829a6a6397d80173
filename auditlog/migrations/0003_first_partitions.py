from django.db import migrations

from queensmtp import partitions


class Migration(migrations.Migration):
    dependencies = [("auditlog", "0002_append_only")]
    operations = [partitions.fill()]
