from django.db import migrations, models

from queensmtp import rls

GIVEN_UP = models.Q(("state__in", ["failed", "canceled"]))
LIVE = models.Q(("state__in", ["pending", "sending"]))

COLUMNS = [
    migrations.AddField(
        "endpoint", "is_ordered", models.BooleanField(db_default=False, default=False)
    ),
    migrations.AddField("endpoint", "listening_until", models.DateTimeField(null=True)),
    migrations.AddField(
        "delivery", "attempts_before_replay", models.IntegerField(db_default=0, default=0)
    ),
    migrations.AlterField(
        "endpoint",
        "disabled_reason",
        models.CharField(
            blank=True,
            choices=[
                ("", "Not disabled"),
                ("requested", "Disabled by a person or a key"),
                ("gone", "The receiver answered 410 Gone"),
                ("failing", "It failed for days on end"),
            ],
            default="",
            max_length=16,
        ),
    ),
]
REASONS = [
    migrations.RemoveConstraint("endpoint", "webhook_disabled_for_a_reason"),
    migrations.AddConstraint(
        "endpoint",
        models.CheckConstraint(
            condition=models.Q(
                models.Q(("disabled_reason", ""), ("status", "enabled")),
                models.Q(
                    ("disabled_reason__in", ["requested", "gone", "failing"]),
                    ("status", "disabled"),
                ),
                _connector="OR",
            ),
            name="webhook_disabled_for_a_reason",
        ),
    ),
]
INDEXES = [
    migrations.AddIndex(
        "delivery",
        models.Index(
            fields=["account_id", "endpoint", "event_id"], name="webhook_delivery_of_event"
        ),
    ),
    migrations.AddIndex(
        "delivery",
        models.Index(
            fields=["account_id", "endpoint", "event_id"],
            condition=GIVEN_UP,
            name="webhook_delivery_given_up",
        ),
    ),
    migrations.AddIndex(
        "delivery",
        models.Index(
            fields=["endpoint", "event_id"], condition=LIVE, name="webhook_delivery_in_order"
        ),
    ),
    # Lists go by the event's id, which is the one that receivers see.
    migrations.RemoveIndex("delivery", "webhook_delivery_newest"),
]


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0004_first_partitions")]
    operations = [
        *COLUMNS,
        *REASONS,
        *INDEXES,
        rls.grant("app", "webhooks_delivery", "UPDATE (attempts_before_replay)"),
    ]
