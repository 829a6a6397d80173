import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import queensmtp.ids
from queensmtp import rls


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_notices"),
    ]

    operations = [
        migrations.AlterField(
            model_name="notice",
            name="to_right",
            field=models.CharField(blank=True, max_length=32),
        ),
        migrations.CreateModel(
            name="Invitation",
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
                ("email", models.EmailField(max_length=254)),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("owner", "owner"),
                            ("admin", "admin"),
                            ("developer", "developer"),
                            ("compliance", "compliance"),
                            ("viewer", "viewer"),
                        ],
                        max_length=16,
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("expires_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "account",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="invitations",
                        to="accounts.account",
                    ),
                ),
                (
                    "invited_by",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="notice",
            name="invitation",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.invitation",
            ),
        ),
        migrations.AddConstraint(
            model_name="notice",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("invitation__isnull", False), ("to_right", "")),
                    models.Q(
                        models.Q(("to_right", ""), _negated=True), ("invitation__isnull", True)
                    ),
                    _connector="OR",
                ),
                name="notice_has_one_kind_of_reader",
            ),
        ),
        migrations.AddConstraint(
            model_name="invitation",
            constraint=models.CheckConstraint(
                condition=models.Q(("email", django.db.models.functions.text.Lower("email"))),
                name="invitation_email_is_lower_case",
            ),
        ),
        migrations.AddConstraint(
            model_name="invitation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("role__in", ["owner", "admin", "developer", "compliance", "viewer"])
                ),
                name="invitation_role_is_known",
            ),
        ),
        rls.enable("accounts_invitation"),
        rls.composite_key("accounts_invitation"),
        rls.grant("app", "accounts_invitation", "SELECT, INSERT, UPDATE"),
        # The worker sends the letter, and looks whether the invitation still stands.
        rls.open_to("worker", "accounts_invitation", command="SELECT"),
        rls.grant("worker", "accounts_invitation", "SELECT"),
        rls.tenant_foreign_key("accounts_notice", "invitation_id", "accounts_invitation"),
    ]
