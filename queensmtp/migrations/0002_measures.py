from django.db import migrations

CREATE = """
CREATE TABLE queensmtp_measure (
    name text NOT NULL,
    label text NOT NULL,
    value double precision NOT NULL,
    PRIMARY KEY (name, label)
) WITH (fillfactor = 50);
GRANT SELECT ON queensmtp_measure TO app;
GRANT SELECT, INSERT, UPDATE ON queensmtp_measure TO worker;
"""


class Migration(migrations.Migration):
    dependencies = [("queensmtp", "0001_partition_functions")]
    operations = [migrations.RunSQL(CREATE, "DROP TABLE queensmtp_measure")]
