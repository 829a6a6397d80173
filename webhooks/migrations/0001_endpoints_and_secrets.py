import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import queensmtp.ids
from queensmtp import rls

ENDPOINT = migrations.CreateModel(
    name="Endpoint",
    fields=[
        (
            "id",
            models.UUIDField(
                default=queensmtp.ids.new_id, editable=False, primary_key=True, serialize=False
            ),
        ),
        ("url", models.TextField()),
        ("credentials", models.BinaryField(null=True)),
        (
            "events",
            django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), size=None),
        ),
        (
            "status",
            models.CharField(
                choices=[("enabled", "Enabled"), ("disabled", "Disabled")],
                default="enabled",
                max_length=16,
            ),
        ),
        (
            "disabled_reason",
            models.CharField(
                blank=True,
                choices=[
                    ("", "Not disabled"),
                    ("requested", "Disabled by a person or a key"),
                    ("gone", "The receiver answered 410 Gone"),
                ],
                default="",
                max_length=16,
            ),
        ),
        ("failing_since", models.DateTimeField(null=True)),
        ("resting_until", models.DateTimeField(null=True)),
        (
            "created_at",
            models.DateTimeField(default=django.utils.timezone.now, editable=False),
        ),
        ("removed_at", models.DateTimeField(null=True)),
        (
            "account",
            models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.account",
            ),
        ),
    ],
)

ENDPOINT_RULES = [
    migrations.AddIndex(
        model_name="endpoint",
        index=models.Index(
            condition=models.Q(("removed_at", None)),
            fields=["account", "id"],
            name="webhook_standing_of_account",
        ),
    ),
    migrations.AddConstraint(
        model_name="endpoint",
        constraint=models.CheckConstraint(
            condition=models.Q(("status__in", ["enabled", "disabled"])),
            name="webhook_status_is_known",
        ),
    ),
    migrations.AddConstraint(
        model_name="endpoint",
        constraint=models.CheckConstraint(
            condition=models.Q(
                models.Q(("disabled_reason", ""), ("status", "enabled")),
                models.Q(("disabled_reason__in", ["requested", "gone"]), ("status", "disabled")),
                _connector="OR",
            ),
            name="webhook_disabled_for_a_reason",
        ),
    ),
]

SECRET = migrations.CreateModel(
    name="SigningSecret",
    fields=[
        (
            "id",
            models.UUIDField(
                default=queensmtp.ids.new_id, editable=False, primary_key=True, serialize=False
            ),
        ),
        ("secret", models.BinaryField()),
        (
            "created_at",
            models.DateTimeField(default=django.utils.timezone.now, editable=False),
        ),
        ("expires_at", models.DateTimeField(null=True)),
        (
            "account",
            models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="accounts.account",
            ),
        ),
        (
            "endpoint",
            models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="secrets",
                to="webhooks.endpoint",
            ),
        ),
    ],
)

SECRET_RULES = [
    migrations.AddConstraint(
        model_name="signingsecret",
        constraint=models.UniqueConstraint(
            condition=models.Q(("endpoint", None), ("expires_at", None)),
            fields=("account",),
            name="webhook_secret_current_of_account",
        ),
    ),
    migrations.AddConstraint(
        model_name="signingsecret",
        constraint=models.UniqueConstraint(
            condition=models.Q(("expires_at", None)),
            fields=("endpoint",),
            name="webhook_secret_current_of_endpoint",
        ),
    ),
]


class Migration(migrations.Migration):
    initial = True
    dependencies = [("accounts", "0003_row_level_security")]
    operations = [
        ENDPOINT,
        *ENDPOINT_RULES,
        rls.composite_key("webhooks_endpoint"),
        SECRET,
        *SECRET_RULES,
        rls.tenant_foreign_key("webhooks_signingsecret", "endpoint_id", "webhooks_endpoint"),
    ]
