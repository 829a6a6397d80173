"""Recipients that no worker has in its hands: moved by hand or by time to another state."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from sending.states import FINAL, State

DUE_SCHEDULED = """
SELECT id, account_id, message_id, address FROM sending_recipient
WHERE state = 'scheduled' AND due_at <= %(now)s
ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""

# A state that is final ends the recipient; any other is due at once.
MOVE = """
UPDATE sending_recipient r
SET state = %(to)s, reply = %(reply)s,
    due_at = CASE WHEN %(is_final)s THEN r.due_at ELSE %(now)s END,
    finished_at = CASE WHEN %(is_final)s THEN %(now)s END
WHERE r.message_id = ANY(%(messages)s) AND r.state = ANY(%(sources)s)
RETURNING r.id, r.account_id, r.message_id, r.address
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A recipient that no worker has in its hands."""

    id: UUID
    account_id: UUID
    message_id: UUID
    address: str


def due_scheduled(*, limit: int, now: datetime) -> list[Waiting]:
    """Scheduled mail whose time has come, locked until the transaction ends (role worker)."""
    with connection.cursor() as cursor:
        cursor.execute(DUE_SCHEDULED, {"now": now, "limit": limit})
        return [Waiting(*row) for row in cursor.fetchall()]


def move(
    message_ids: Sequence[UUID],
    *,
    sources: Sequence[State],
    to: State,
    now: datetime,
    reply: str = "",
) -> list[Waiting]:
    """Move the recipients of messages from one of these states to another; those that moved."""
    values: dict[str, Any] = {
        "messages": list(message_ids),
        "sources": list(sources),
        "to": to,
        "is_final": to in FINAL,
        "reply": reply,
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(MOVE, values)
        return [Waiting(*row) for row in cursor.fetchall()]
