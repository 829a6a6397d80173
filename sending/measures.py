"""What `/metrics` tells of the queue."""

from django.db import connection

from queensmtp.measures import COUNTED_AT_MOST
from queensmtp.metrics import Values
from sending.models import Recipient
from sending.queue import BUSY
from sending.states import State

RECIPIENTS, OLDEST = "queensmtp_recipients", "queensmtp_oldest_due_seconds"

OLDEST_DUE = f"""
WITH RECURSIVE {BUSY}
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
