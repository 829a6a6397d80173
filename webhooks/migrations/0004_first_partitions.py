from django.db import migrations

from queensmtp import partitions


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0003_row_level_security")]
    operations = [partitions.fill()]
