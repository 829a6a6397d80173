"""How keys were used: the last use of each, and its requests by day and outcome.

Every request that names a real key leaves an entry in the audit log, so nothing is counted on the
hot path (docs/adr/0015). The log answers to the moment; what is older than its retention is known
from what `apikeys.gathering` kept.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from apikeys.models import DayOfUse

# One index probe a key (auditlog_entry_by_key), newest entry first.
LAST_USE = """
SELECT wanted.key_id, used.created_at, host(used.ip), used.user_agent
FROM unnest(%s::uuid[]) AS wanted (key_id) CROSS JOIN LATERAL (
    SELECT e.created_at, e.ip, e.user_agent FROM auditlog_entry e
    WHERE e.account_id = %s AND e.key_id = wanted.key_id AND e.outcome = 'allowed'
      AND e.actor_type = 'key'
    ORDER BY e.id DESC LIMIT 1
) AS used
"""
LAST_USE_KEPT = """
SELECT key_id, used_at, host(ip), user_agent FROM apikeys_lastuse
WHERE account_id = %s AND key_id = ANY (%s)
"""


class Use(NamedTuple):
    """A use that was allowed: when, from where, and by which client."""

    at: datetime | None
    ip: str | None
    user_agent: str


NEVER = Use(None, None, "")


def last_uses(account_id: UUID, key_ids: Iterable[UUID]) -> dict[UUID, Use]:
    """The last allowed use of each key that was ever used."""
    wanted = list(key_ids)
    found = _fetched(LAST_USE, [wanted, account_id])
    if missing := [key_id for key_id in wanted if key_id not in found]:
        found |= _fetched(LAST_USE_KEPT, [account_id, missing])
    return found


def by_day(key_id: UUID, *, since: date, until: date) -> dict[date, dict[str, int]]:
    """The requests of a key on each day that had any, by outcome. Both days are meant."""
    days: dict[date, dict[str, int]] = {}
    rows = DayOfUse.objects.filter(key_id=key_id, day__gte=since, day__lte=until)
    for day, outcome, count in rows.values_list("day", "outcome", "request_count"):
        days.setdefault(day, {})[outcome] = count
    return days


def _fetched(sql: str, params: Sequence[Any]) -> dict[UUID, Use]:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return {key_id: Use(*rest) for key_id, *rest in cursor.fetchall()}
