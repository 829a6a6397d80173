"""The outbox in Postgres: events go in with their transaction, workers claim and report.

A claim is a lease. Whoever holds the highest `fence` of a row may report on it; a worker whose
lease ran out finds its report refused, and the delivery is made again with the same id and bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.backends.utils import CursorWrapper

from queensmtp.ids import new_id
from webhooks.models import Delivery, DeliveryState, Endpoint
from webhooks.schedule import Verdict
from webhooks.windows import FIRST_ROOM, Windows

# Longer than any exchange may take, so that a lease only runs out under a dead worker.
LEASE_SECONDS = 90

# Endpoints with work are found by hopping through the index of live rows, one probe for each, and
# are taken in random order: neither a flood of one tenant nor a small id comes first. MATERIALIZED,
# or a plan that ran `due` twice would claim more than it returns.
#
# Of an ordered endpoint only the oldest live row is looked at, whoever holds it: to skip a locked
# one, as the others do, would let its successor overtake it.
CLAIM = """
WITH RECURSIVE busy (endpoint_id) AS (
    (SELECT endpoint_id FROM webhooks_delivery
     WHERE state IN ('pending', 'sending') ORDER BY endpoint_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.endpoint_id FROM webhooks_delivery d
            WHERE d.state IN ('pending', 'sending') AND d.endpoint_id > busy.endpoint_id
            ORDER BY d.endpoint_id LIMIT 1)
    FROM busy WHERE busy.endpoint_id IS NOT NULL
), ready AS MATERIALIZED (
    SELECT e.id, e.url, e.credentials, e.is_ordered,
        CASE WHEN e.failing_since IS NULL THEN COALESCE(mine.room, %(first_room)s) ELSE 1 END
            AS room
    FROM busy JOIN webhooks_endpoint e ON e.id = busy.endpoint_id
    LEFT JOIN unnest(%(known)s::uuid[], %(rooms)s::integer[], %(in_flight)s::integer[])
        AS mine (id, room, in_flight) ON mine.id = e.id
    WHERE e.status = 'enabled' AND e.removed_at IS NULL
      AND (e.resting_until IS NULL OR e.resting_until <= %(now)s)
      AND COALESCE(mine.room, 1) > 0
      AND (COALESCE(mine.in_flight, 0) = 0 OR (e.failing_since IS NULL AND NOT e.is_ordered))
    ORDER BY random()
), due_in_order AS MATERIALIZED (
    SELECT d.id, ready.url, ready.credentials
    FROM ready CROSS JOIN LATERAL (
        SELECT id FROM webhooks_delivery
        WHERE id = (SELECT id FROM webhooks_delivery
                    WHERE endpoint_id = ready.id AND state IN ('pending', 'sending')
                    ORDER BY event_id LIMIT 1)
          AND state IN ('pending', 'sending') AND due_at <= %(now)s
        FOR UPDATE SKIP LOCKED
    ) d
    WHERE ready.is_ordered
    LIMIT (%(limit)s + 1) / 2
), due_in_any_order AS MATERIALIZED (
    SELECT d.id, ready.url, ready.credentials
    FROM ready CROSS JOIN LATERAL (
        SELECT id FROM webhooks_delivery
        WHERE endpoint_id = ready.id
          AND state IN ('pending', 'sending') AND due_at <= %(now)s
        ORDER BY due_at
        LIMIT ready.room
        FOR UPDATE SKIP LOCKED
    ) d
    WHERE NOT ready.is_ordered
    LIMIT %(limit)s - (SELECT count(*) FROM due_in_order)
), due AS (
    SELECT * FROM due_in_order UNION ALL SELECT * FROM due_in_any_order
)
UPDATE webhooks_delivery d
SET state = 'sending', fence = fence + 1, attempt_count = attempt_count + 1,
    due_at = %(lease_until)s
FROM due WHERE d.id = due.id
RETURNING d.id, d.account_id, d.endpoint_id, d.event_id, d.body, d.attempt_count,
    d.attempt_count - d.attempts_before_replay, d.fence, due.url, due.credentials
"""

# The attempt is kept only where the report is accepted, and takes its tenant from the delivery.
RECORD = """
WITH report AS (
    SELECT * FROM unnest(
        %(ids)s::uuid[], %(fences)s::integer[], %(states)s::text[], %(due_ats)s::timestamptz[],
        %(attempt_ids)s::uuid[], %(sent_ats)s::timestamptz[], %(statuses)s::integer[],
        %(reasons)s::text[], %(latencies)s::integer[], %(responses)s::text[]
    ) AS r (id, fence, state, due_at, attempt_id, sent_at, status, reason, latency, response)
), accepted AS (
    UPDATE webhooks_delivery d
    SET state = r.state, due_at = COALESCE(r.due_at, d.due_at),
        finished_at = CASE WHEN r.state = 'pending' THEN NULL ELSE %(now)s END,
        last_status = r.status, last_reason = r.reason, last_latency_milliseconds = r.latency
    FROM report r
    WHERE d.id = r.id AND d.fence = r.fence AND d.state = 'sending'
    RETURNING d.id, d.account_id, d.attempt_count
)
INSERT INTO webhooks_attempt
    (id, account_id, delivery_id, number, sent_at, status, reason, latency_milliseconds, response)
SELECT r.attempt_id, a.account_id, a.id, a.attempt_count, r.sent_at, r.status, r.reason,
    r.latency, r.response
FROM accepted a JOIN report r ON r.id = a.id
"""

HEALTHY = """
UPDATE webhooks_endpoint SET failing_since = NULL, resting_until = NULL
WHERE id = ANY (%(ids)s::uuid[]) AND failing_since IS NOT NULL
"""

# An unreachable endpoint is left alone for as long as it has been failing, within bounds.
FAILING = """
UPDATE webhooks_endpoint
SET failing_since = COALESCE(failing_since, %(now)s),
    resting_until = CASE WHEN id = ANY (%(unreachable)s::uuid[]) THEN
        %(now)s + LEAST(GREATEST(%(now)s - COALESCE(failing_since, %(now)s),
                                 interval '2 seconds'), interval '5 minutes')
        ELSE resting_until END
WHERE id = ANY (%(ids)s::uuid[])
"""


@dataclass(frozen=True)
class Claimed:
    """A delivery that this worker may make until its lease ends."""

    id: UUID
    account_id: UUID
    endpoint_id: UUID
    event_id: UUID
    body: bytes
    attempt_count: int
    # Which try of the schedule this is; a replay begins it anew.
    try_number: int
    fence: int
    url: str
    credentials: bytes | None


@dataclass(frozen=True)
class Report:
    """What came of one claimed delivery."""

    claimed: Claimed
    verdict: Verdict
    sent_at: datetime
    status: int | None
    reason: str
    latency_milliseconds: int | None
    response: str

    @property
    def is_success(self) -> bool:
        return self.verdict.state == "delivered"

    @property
    def is_unreachable(self) -> bool:
        return self.status is None

    @property
    def is_gone(self) -> bool:
        return self.status == HTTPStatus.GONE


def claim(
    *,
    limit: int,
    now: datetime,
    windows: Windows | None = None,
    lease_seconds: int = LEASE_SECONDS,
) -> list[Claimed]:
    """Take up to `limit` due deliveries of any tenant, of each endpoint what it has room for."""
    known = (windows or Windows()).known()
    with connection.cursor() as cursor:
        cursor.execute(
            CLAIM,
            {
                "now": now,
                "lease_until": now + timedelta(seconds=lease_seconds),
                "known": [one.endpoint_id for one in known],
                "rooms": [one.room for one in known],
                "in_flight": [one.in_flight for one in known],
                "first_room": FIRST_ROOM,
                "limit": limit,
            },
        )
        return [_claimed(row) for row in cursor.fetchall()]


def _claimed(row: Sequence[Any]) -> Claimed:
    id, account_id, endpoint_id, event_id, body = row[:5]
    attempt_count, try_number, fence, url, credentials = row[5:]
    return Claimed(
        id=id,
        account_id=account_id,
        endpoint_id=endpoint_id,
        event_id=event_id,
        body=bytes(body),
        attempt_count=attempt_count,
        try_number=try_number,
        fence=fence,
        url=url,
        credentials=None if credentials is None else bytes(credentials),
    )


def record(reports: Sequence[Report], *, now: datetime) -> int:
    """Store outcomes and attempts; how many of the reports were still wanted."""
    with connection.cursor() as cursor:
        cursor.execute(RECORD, {"now": now, **_columns(reports)})
        accepted: int = cursor.rowcount
        _record_health(cursor, reports, now=now)
    return accepted


def _columns(reports: Sequence[Report]) -> dict[str, list[Any]]:
    return {
        "ids": [report.claimed.id for report in reports],
        "fences": [report.claimed.fence for report in reports],
        "states": [report.verdict.state for report in reports],
        "due_ats": [report.verdict.due_at for report in reports],
        "attempt_ids": [new_id() for _ in reports],
        "sent_ats": [report.sent_at for report in reports],
        "statuses": [report.status for report in reports],
        "reasons": [report.reason for report in reports],
        "latencies": [report.latency_milliseconds for report in reports],
        "responses": [report.response for report in reports],
    }


def _record_health(cursor: CursorWrapper, reports: Sequence[Report], *, now: datetime) -> None:
    healthy = {r.claimed.endpoint_id for r in reports if r.is_success}
    failing = {r.claimed.endpoint_id for r in reports} - healthy
    unreachable = failing & {r.claimed.endpoint_id for r in reports if r.is_unreachable}
    if failing:
        parameters: dict[str, Any] = {
            "now": now,
            "ids": list(failing),
            "unreachable": list(unreachable),
        }
        cursor.execute(FAILING, parameters)
    if healthy:
        cursor.execute(HEALTHY, {"ids": list(healthy)})


def cancel(endpoint: Endpoint, *, now: datetime) -> int:
    """Give up what still waits for an endpoint; a report on its way will find itself refused."""
    return Delivery.objects.filter(
        account_id=endpoint.account_id,
        endpoint=endpoint,
        state__in=[DeliveryState.PENDING, DeliveryState.SENDING],
    ).update(state=DeliveryState.CANCELED, due_at=now, finished_at=now)
