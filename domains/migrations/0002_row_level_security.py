from django.db import migrations

from queensmtp import rls

TABLES = ("domains_domain", "domains_dkimkey")


class Migration(migrations.Migration):
    dependencies = [("domains", "0001_domains_and_dkim_keys")]

    operations = [
        rls.composite_key("domains_domain"),
        rls.tenant_foreign_key("domains_dkimkey", "domain_id", "domains_domain"),
        *[rls.enable(table) for table in TABLES],
        *[rls.open_to("worker", table, command="SELECT") for table in TABLES],
        *[rls.grant("app", table, "SELECT, INSERT, UPDATE, DELETE") for table in TABLES],
        # Workers sign: they read the encrypted private keys and change nothing.
        *[rls.grant("worker", table, "SELECT") for table in TABLES],
    ]
