import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import queensmtp.ids
from queensmtp import rls

ADDRESSES_OF_MEMBERS = """
SELECT u.email::text
FROM accounts_membership m JOIN accounts_user u ON u.id = m.user_id
WHERE m.account_id = account AND m.role = ANY (roles) AND u.is_active
ORDER BY u.email
"""


class Migration(migrations.Migration):
    dependencies = [("accounts", "0004_grant_sign_in_tables")]

    operations = [
        migrations.CreateModel(
            name="Notice",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=queensmtp.ids.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("to_right", models.CharField(max_length=32)),
                ("kind", models.CharField(max_length=64)),
                ("once", models.CharField(blank=True, max_length=200)),
                ("subject", models.CharField(max_length=200)),
                ("text", models.TextField()),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("attempt_count", models.PositiveSmallIntegerField(default=0)),
                ("due_at", models.DateTimeField(default=django.utils.timezone.now)),
                ("finished_at", models.DateTimeField(null=True)),
                ("was_sent", models.BooleanField(null=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="accounts.account",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("finished_at", None)),
                        fields=["due_at"],
                        name="notice_waiting",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("once", ""), _negated=True),
                        fields=("account", "kind", "once"),
                        name="notice_is_told_once",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("finished_at__isnull", True), ("was_sent__isnull", True)),
                            models.Q(("finished_at__isnull", False), ("was_sent__isnull", False)),
                            _connector="OR",
                        ),
                        name="notice_that_is_finished_says_how",
                    ),
                ],
            },
        ),
        rls.enable("accounts_notice"),
        rls.composite_key("accounts_notice"),
        rls.open_to_worker("accounts_notice"),
        rls.grant("app", "accounts_notice", "SELECT, INSERT"),
        rls.grant("worker", "accounts_notice", "SELECT, INSERT, UPDATE"),
        rls.grant("lookup", "accounts_user", "SELECT (id, email, is_active)"),
        rls.definer_function(
            "addresses_of_members",
            args="account uuid, roles text[]",
            returns="SETOF text",
            body=ADDRESSES_OF_MEMBERS,
            roles=("worker",),
        ),
    ]
