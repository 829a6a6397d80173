"""When and from where keys were last used, read from the audit log.

Every request that names a real key leaves an entry there, so nothing is counted on the hot path.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import connection

# One index probe a key (auditlog_entry_by_key), newest entry first.
LAST_USE = """
SELECT wanted.key_id, used.created_at, host(used.ip)
FROM unnest(%s::uuid[]) AS wanted (key_id) CROSS JOIN LATERAL (
    SELECT e.created_at, e.ip FROM auditlog_entry e
    WHERE e.account_id = %s AND e.key_id = wanted.key_id AND e.outcome = 'allowed'
    ORDER BY e.id DESC LIMIT 1
) AS used
"""

Use = tuple[datetime, str | None]


def last_uses(account_id: UUID, key_ids: Iterable[UUID]) -> dict[UUID, Use]:
    """The last allowed use of each key that was ever used."""
    with connection.cursor() as cursor:
        cursor.execute(LAST_USE, [list(key_ids), account_id])
        return {key_id: (at, ip) for key_id, at, ip in cursor.fetchall()}
