from django.db import migrations

from queensmtp import rls

# Tables of Django and allauth that sign-in needs. They hold people, not tenants: no policy,
# and no right for workers.
SIGN_IN_TABLES = [
    "account_emailaddress",
    "account_emailconfirmation",
    "django_session",
    "mfa_authenticator",
    "usersessions_usersession",
]


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0003_row_level_security"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("sessions", "0001_initial"),
        ("usersessions", "0001_initial"),
    ]

    operations = [
        *[rls.grant("app", table, "SELECT, INSERT, UPDATE, DELETE") for table in SIGN_IN_TABLES],
        rls.grant("app", "django_content_type", "SELECT"),
    ]
