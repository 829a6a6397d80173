"""What `/metrics` tells of the queue."""

from django.db import connection

from queensmtp.measures import COUNTED_AT_MOST
from queensmtp.metrics import Values
from sending.models import Recipient
from sending.states import State

RECIPIENTS, OLDEST = "queensmtp_recipients", "queensmtp_oldest_due_seconds"

# One probe for each account with mail that waits, as a claim does it (`sending.queue`).
OLDEST_DUE = """
WITH RECURSIVE busy AS (
    (SELECT account_id, due_at FROM sending_recipient
     WHERE state IN ('deferred', 'in_doubt', 'queued') ORDER BY account_id, due_at LIMIT 1)
    UNION ALL
    SELECT next.account_id, next.due_at FROM busy CROSS JOIN LATERAL (
        SELECT r.account_id, r.due_at FROM sending_recipient r
        WHERE r.state IN ('deferred', 'in_doubt', 'queued') AND r.account_id > busy.account_id
        ORDER BY r.account_id, r.due_at LIMIT 1
    ) AS next
)
SELECT COALESCE(greatest(0, extract(epoch FROM statement_timestamp() - min(due_at))), 0)::float8
FROM (SELECT due_at FROM busy LIMIT %s) AS found
"""


def now_queued() -> Values:
    """What waits, what is under way, and how late the queue is."""
    waiting = Recipient.objects.claimable()[:COUNTED_AT_MOST]
    leased = Recipient.objects.filter(state=State.SENDING)[:COUNTED_AT_MOST]
    return {
        (RECIPIENTS, "waiting"): waiting.count(),
        (RECIPIENTS, "leased"): leased.count(),
        (OLDEST, ""): _oldest_due_seconds(),
    }


def _oldest_due_seconds() -> float:
    with connection.cursor() as cursor:
        cursor.execute(OLDEST_DUE, [COUNTED_AT_MOST])
        return float(cursor.fetchone()[0])
