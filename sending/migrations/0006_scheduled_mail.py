from django.db import migrations, models

from queensmtp import rls

STANDING = """
SELECT k.id, k.scopes::text[], k.domains::text[], k.allowed_recipients::text[],
       EXISTS (SELECT 1 FROM apikeys_leakedkey l WHERE l.key_id = k.id)
FROM apikeys_apikey k WHERE k.id = ANY(wanted)
"""

COLUMNS = """TABLE (
    id uuid, scopes text[], domains text[], allowed_recipients text[], is_leaked boolean
)"""


class Migration(migrations.Migration):
    dependencies = [
        ("apikeys", "0003_leaked_keys"),
        ("sending", "0005_mta_sts_policies"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="recipient",
            index=models.Index(
                condition=models.Q(("state", "scheduled")),
                fields=["due_at"],
                name="recipient_scheduled",
            ),
        ),
        # Another time for scheduled mail is the one change that a message takes.
        rls.grant("app", "sending_message", "UPDATE (scheduled_at)"),
        rls.open_to_lookup("apikeys_leakedkey"),
        rls.grant("worker", "apikeys_leakedkey", "SELECT (reported_at)"),
        # Workers have no right to keys: they see the limits of those that they name.
        rls.definer_function(
            "api_key_standing",
            args="wanted uuid[]",
            returns=COLUMNS,
            body=STANDING,
            roles=("worker",),
        ),
    ]
