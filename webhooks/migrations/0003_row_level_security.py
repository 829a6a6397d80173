from django.db import migrations

from queensmtp import rls

APP_RIGHTS = {
    "webhooks_endpoint": "SELECT, INSERT, UPDATE",
    "webhooks_signingsecret": "SELECT, INSERT, UPDATE, DELETE",
    "webhooks_delivery": "SELECT, INSERT, UPDATE (state, due_at, finished_at)",
    "webhooks_attempt": "SELECT",
}
WORKER_RIGHTS = {
    "webhooks_endpoint": ("SELECT, UPDATE (status, disabled_reason, failing_since, resting_until)"),
    "webhooks_signingsecret": "SELECT",
    "webhooks_delivery": (
        "SELECT, INSERT, UPDATE (state, attempt_count, due_at, fence, finished_at, last_status,"
        " last_reason, last_latency_milliseconds)"
    ),
    "webhooks_attempt": "SELECT, INSERT",
}


class Migration(migrations.Migration):
    dependencies = [("webhooks", "0002_deliveries_and_attempts")]
    operations = [
        *[rls.enable(table) for table in APP_RIGHTS],
        *[rls.grant("app", table, rights) for table, rights in APP_RIGHTS.items()],
        # Workers deliver for every tenant, and sign with the secrets of each.
        *[rls.open_to_worker(table) for table in WORKER_RIGHTS],
        *[rls.grant("worker", table, rights) for table, rights in WORKER_RIGHTS.items()],
    ]
