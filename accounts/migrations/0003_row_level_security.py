from django.db import migrations

from queensmtp import rls

MEMBERSHIPS_OF = """
SELECT m.id, m.role::text, m.created_at, a.id, a.name::text, a.plan::text, a.status::text,
       a.created_at
FROM accounts_membership m JOIN accounts_account a ON a.id = m.account_id
WHERE m.user_id = person AND a.status = 'active'
ORDER BY m.created_at, m.id
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0002_platform_account")]

    operations = [
        rls.enable("accounts_account", column="id"),
        rls.enable("accounts_membership"),
        rls.grant("app", "accounts_account", "SELECT, INSERT, UPDATE"),
        rls.grant("app", "accounts_membership", "SELECT, INSERT, UPDATE, DELETE"),
        # People belong to no tenant, so their table has no policy; workers have no right on it.
        rls.grant("app", "accounts_user", "SELECT, INSERT, UPDATE"),
        # Workers read plans and whether an account is open, and nothing about people.
        rls.open_to("worker", "accounts_account", command="SELECT"),
        rls.grant("worker", "accounts_account", "SELECT"),
        rls.open_to_lookup("accounts_account"),
        rls.open_to_lookup("accounts_membership"),
        rls.definer_function(
            "memberships_of",
            args="person uuid",
            returns=(
                "TABLE (membership_id uuid, role text, joined_at timestamptz, account_id uuid,"
                " account_name text, account_plan text, account_status text,"
                " account_created_at timestamptz)"
            ),
            body=MEMBERSHIPS_OF,
        ),
    ]
