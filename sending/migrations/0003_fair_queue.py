import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

import queensmtp.ids
from queensmtp import rls

TENANT_TABLES = ("sending_hold", "sending_warmup")


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0005_notices"),
        ("domains", "0002_row_level_security"),
        ("sending", "0002_row_level_security"),
    ]

    operations = [
        migrations.CreateModel(
            name="Destination",
            fields=[
                ("domain", models.CharField(max_length=253, primary_key=True, serialize=False)),
                ("allowed", models.PositiveSmallIntegerField()),
                ("failure_count", models.PositiveIntegerField(default=0)),
                ("resting_until", models.DateTimeField(null=True)),
                ("is_paused", models.BooleanField(default=False)),
                ("reply", models.TextField(blank=True, default="")),
                ("changed_at", models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.CreateModel(
            name="Hold",
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
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("account", "All mail of this account"),
                            ("domain", "Mail from a sending domain"),
                            ("destination", "Mail to a destination"),
                        ],
                        max_length=12,
                    ),
                ),
                ("name", models.CharField(blank=True, max_length=253)),
                ("reason", models.CharField(blank=True, max_length=200)),
                ("created_by", models.CharField(max_length=254)),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Warmup",
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
                ("started_on", models.DateField()),
                ("counted_on", models.DateField()),
                ("sent_count", models.PositiveIntegerField(default=0)),
            ],
        ),
        migrations.RemoveIndex(
            model_name="recipient",
            name="recipient_due",
        ),
        migrations.AddIndex(
            model_name="recipient",
            index=models.Index(
                condition=models.Q(
                    (
                        "state__in",
                        [
                            "deferred",
                            "in_doubt",
                            "queued",
                        ],
                    )
                ),
                fields=["account", "due_at"],
                name="recipient_waiting",
            ),
        ),
        migrations.AddField(
            model_name="hold",
            name="account",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.account"
            ),
        ),
        migrations.AddField(
            model_name="warmup",
            name="account",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="accounts.account"
            ),
        ),
        migrations.AddField(
            model_name="warmup",
            name="domain",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="domains.domain",
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.UniqueConstraint(
                fields=("account", "kind", "name"), name="hold_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="hold",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "account"), ("name", "")),
                    models.Q(
                        ("kind__in", ["domain", "destination"]),
                        models.Q(("name", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="hold_names_what_it_holds",
            ),
        ),
        migrations.AddConstraint(
            model_name="warmup",
            constraint=models.UniqueConstraint(
                fields=("account", "domain"), name="warmup_once_per_domain"
            ),
        ),
        *[rls.enable(table) for table in TENANT_TABLES],
        *[rls.open_to_worker(table) for table in TENANT_TABLES],
        rls.tenant_foreign_key(
            "sending_warmup", "domain_id", "domains_domain", on_delete="CASCADE"
        ),
        rls.grant("app", "sending_hold", "SELECT, INSERT, DELETE"),
        rls.grant("worker", "sending_hold", "SELECT"),
        rls.grant("app", "sending_warmup", "SELECT, INSERT, DELETE"),
        rls.grant("worker", "sending_warmup", "SELECT, UPDATE"),
        # Of no tenant: the web and the SMTP door neither see nor change it.
        rls.grant("worker", "sending_destination", "SELECT, INSERT, UPDATE, DELETE"),
    ]
