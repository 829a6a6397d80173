from django.db import migrations

# Runs before row-level security binds the owner. The id is queensmtp.tenancy.PLATFORM_ACCOUNT_ID,
# written out since a migration must not change when code does.
ADD_PLATFORM = """
INSERT INTO accounts_account (id, name, plan, status, created_at)
VALUES ('00000000-0000-0000-0000-000000000000', 'Platform', 'enterprise', 'active', now())
"""
REMOVE_PLATFORM = """
DELETE FROM accounts_account WHERE id = '00000000-0000-0000-0000-000000000000'
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0001_people_and_accounts")]

    operations = [migrations.RunSQL(ADD_PLATFORM, REMOVE_PLATFORM)]
