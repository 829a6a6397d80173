"""The queue in Postgres: workers claim due recipients, and report what became of them.

A claim is a lease under a fencing token, committed before anyone connects. A lease that runs
out, whatever the cause, means that nobody knows: the recipient is *in doubt* and tried again
with the same Message-ID. A report under an older token is not taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

# MATERIALIZED: a plan that ran `due` twice would claim more than it returns.
CLAIM = """
WITH due AS MATERIALIZED (
    SELECT id FROM sending_recipient
    WHERE state IN ('deferred', 'in_doubt', 'queued') AND due_at <= %(now)s
    ORDER BY due_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE sending_recipient r
SET state = 'sending', attempts = r.attempts + 1, leased_until = %(until)s,
    lease_token = nextval('sending_lease_token')
FROM due WHERE r.id = due.id
RETURNING r.id, r.account_id, r.message_id, r.address, r.domain, r.attempts, r.lease_token
"""

EXPIRE = """
WITH stale AS MATERIALIZED (
    SELECT id FROM sending_recipient
    WHERE state = 'sending' AND leased_until < %(now)s
    ORDER BY leased_until LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE sending_recipient r
SET state = 'in_doubt', in_doubt_count = r.in_doubt_count + 1, due_at = %(now)s,
    lease_token = NULL, leased_until = NULL
FROM stale WHERE r.id = stale.id
RETURNING r.id, r.account_id, r.message_id, r.address, r.attempts
"""

REPORT = """
UPDATE sending_recipient r
SET state = o.state, due_at = COALESCE(o.due_at, r.due_at), finished_at = o.finished_at,
    in_doubt_count = r.in_doubt_count + (o.state = 'in_doubt')::int,
    smtp_code = NULLIF(o.code, 0), enhanced_code = o.enhanced, reply = o.reply,
    mx_host = o.mx_host, tls_version = o.tls_version, tls_cipher = o.tls_cipher,
    lease_token = NULL, leased_until = NULL
FROM unnest(
    %s::uuid[], %s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::int[],
    %s::text[], %s::text[], %s::text[], %s::text[], %s::text[]
) AS o (id, token, state, due_at, finished_at, code, enhanced, reply, mx_host,
        tls_version, tls_cipher)
WHERE r.id = o.id AND r.state = 'sending' AND r.lease_token = o.token
RETURNING r.id
"""


RELEASE = """
UPDATE sending_recipient r
SET state = 'queued', attempts = r.attempts - 1, lease_token = NULL, leased_until = NULL
FROM unnest(%s::uuid[], %s::bigint[]) AS o (id, token)
WHERE r.id = o.id AND r.state = 'sending' AND r.lease_token = o.token
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A recipient under a lease of ours."""

    id: UUID
    account_id: UUID
    message_id: UUID
    address: str
    domain: str
    attempt: int
    token: int


@dataclass(frozen=True, slots=True)
class Lost:
    """A recipient whose lease ran out under somebody."""

    id: UUID
    account_id: UUID
    message_id: UUID
    address: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a claimed recipient. `due_at` when it is tried again, else `finished_at`."""

    claimed: Claimed
    state: str
    due_at: datetime | None
    finished_at: datetime | None
    code: int
    enhanced: str
    reply: str
    mx_host: str = ""
    tls_version: str = ""
    tls_cipher: str = ""


def claim(*, limit: int, lease_seconds: int, now: datetime) -> list[Claimed]:
    """Lease what is due, oldest first, across tenants (role worker)."""
    until = now + timedelta(seconds=lease_seconds)
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"now": now, "limit": limit, "until": until})
        return [Claimed(*row) for row in cursor.fetchall()]


def expire(*, limit: int, now: datetime) -> list[Lost]:
    """Put in doubt what was leased for too long."""
    with connection.cursor() as cursor:
        cursor.execute(EXPIRE, {"now": now, "limit": limit})
        return [Lost(*row) for row in cursor.fetchall()]


def release(claims: Sequence[Claimed]) -> None:
    """Give back what was claimed and not begun."""
    if not claims:
        return
    with connection.cursor() as cursor:
        cursor.execute(RELEASE, [[one.id for one in claims], [one.token for one in claims]])


def report(reports: Sequence[Report]) -> set[UUID]:
    """Record outcomes in one statement; the ids of those whose lease still was ours."""
    columns = [
        (
            one.claimed.id,
            one.claimed.token,
            one.state,
            one.due_at,
            one.finished_at,
            one.code,
            one.enhanced[:12],
            one.reply,
            one.mx_host,
            one.tls_version,
            one.tls_cipher,
        )
        for one in reports
    ]
    with connection.cursor() as cursor:
        cursor.execute(REPORT, [list(column) for column in zip(*columns, strict=True)])
        return {row[0] for row in cursor.fetchall()}
