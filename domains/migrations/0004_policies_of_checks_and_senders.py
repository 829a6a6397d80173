from django.db import migrations

from queensmtp import rls

# Every domain that was verified sends on, and is looked at by the checks from now on. Each gets a
# token of its own: the column's default gave them all the same one. FORCE binds the owner too.
TAKE_OVER = """
ALTER TABLE domains_domain NO FORCE ROW LEVEL SECURITY;
UPDATE domains_domain SET can_send = (status = 'verified'),
    verification_token = replace(gen_random_uuid()::text, '-', '');
ALTER TABLE domains_domain FORCE ROW LEVEL SECURITY;
"""

# The policy from before let workers only read.
WORKER_CHECKS = """
DROP POLICY open_to_worker ON {table};
CREATE POLICY open_to_worker ON {table} TO worker USING (true) WITH CHECK (true);
GRANT UPDATE ON {table} TO worker;
"""
WORKER_READS = """
REVOKE UPDATE ON {table} FROM worker;
DROP POLICY open_to_worker ON {table};
CREATE POLICY open_to_worker ON {table} FOR SELECT TO worker USING (true);
"""


class Migration(migrations.Migration):
    dependencies = [("domains", "0003_checks_rotation_and_sender_identities")]

    operations = [
        migrations.RunSQL(TAKE_OVER, migrations.RunSQL.noop),
        *[
            migrations.RunSQL(WORKER_CHECKS.format(table=table), WORKER_READS.format(table=table))
            for table in ("domains_domain", "domains_dkimkey")
        ],
        rls.composite_key("domains_senderidentity"),
        rls.tenant_foreign_key("domains_senderidentity", "domain_id", "domains_domain"),
        rls.enable("domains_senderidentity"),
        rls.grant("app", "domains_senderidentity", "SELECT, INSERT, UPDATE, DELETE"),
    ]
