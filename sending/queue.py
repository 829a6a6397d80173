"""The queue in Postgres: workers claim due recipients, and report what became of them.

A claim is a lease under a fencing token, committed before anyone connects. A lease that runs
out, whatever the cause, means that nobody knows: the recipient is *in doubt* and tried again
with the same Message-ID. A report under an older token is not taken.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from queensmtp import hot

# Accounts with mail that waits, each with its oldest due time, are found by hopping through their
# index, one probe each.
BUSY = """
busy AS (
    (SELECT account_id, due_at FROM sending_recipient
     WHERE state IN ('deferred', 'in_doubt', 'queued') ORDER BY account_id, due_at LIMIT 1)
    UNION ALL
    SELECT next.account_id, next.due_at FROM busy CROSS JOIN LATERAL (
        SELECT r.account_id, r.due_at FROM sending_recipient r
        WHERE r.state IN ('deferred', 'in_doubt', 'queued') AND r.account_id > busy.account_id
        ORDER BY r.account_id, r.due_at LIMIT 1
    ) AS next
)
"""

# Accounts with something due get equal shares, in random order: neither a flood nor a small id
# comes first. The scan of one account is bounded, since it may have to step over what waits for a
# crowded destination.
# MATERIALIZED: a plan that ran `due` twice would claim more than it returns.
CLAIM = f"""
WITH RECURSIVE {BUSY}, ready AS MATERIALIZED (
    SELECT account_id, ceil(%(limit)s / count(*) OVER ()::numeric)::int AS share
    FROM busy WHERE due_at <= %(now)s AND account_id <> ALL (%(crowded_accounts)s::uuid[])
    ORDER BY random() LIMIT %(limit)s
), due AS MATERIALIZED (
    SELECT found.id FROM ready CROSS JOIN LATERAL (
        SELECT r.id FROM sending_recipient r
        WHERE r.id = ANY (ARRAY(
            SELECT oldest.id FROM (
                SELECT w.id, w.domain FROM sending_recipient w
                WHERE w.account_id = ready.account_id
                  AND w.state IN ('deferred', 'in_doubt', 'queued') AND w.due_at <= %(now)s
                ORDER BY w.due_at LIMIT %(scan)s
            ) AS oldest WHERE oldest.domain <> ALL (%(crowded)s::text[]) LIMIT ready.share * 2
        )) AND r.state IN ('deferred', 'in_doubt', 'queued') AND r.due_at <= %(now)s
        LIMIT ready.share FOR UPDATE SKIP LOCKED
    ) AS found LIMIT %(limit)s
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


# What may have arrived before stays in doubt: nobody may cancel it as if it had not.
PUT_BACK = """
UPDATE sending_recipient r
SET state = CASE WHEN r.in_doubt_count > 0 THEN 'in_doubt'
                 WHEN r.attempts > 1 THEN 'deferred' ELSE 'queued' END,
    attempts = r.attempts - 1, lease_token = NULL, leased_until = NULL,
    due_at = COALESCE(o.due_at, r.due_at), reply = COALESCE(o.reason, r.reply)
FROM unnest(%s::uuid[], %s::bigint[], %s::timestamptz[], %s::text[])
    AS o (id, token, due_at, reason)
WHERE r.id = o.id AND r.state = 'sending' AND r.lease_token = o.token
"""

SCAN_LIMIT = 2_000


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


def claim(
    *,
    limit: int,
    lease_seconds: int,
    now: datetime,
    crowded: Sequence[str] = (),
    crowded_accounts: Sequence[UUID] = (),
) -> list[Claimed]:
    """Lease what is due, oldest first, in equal shares to accounts (role worker).

    Nothing for a crowded destination, nor of a crowded account.
    """
    parameters: dict[str, Any] = {
        "now": now,
        "until": now + timedelta(seconds=lease_seconds),
        "limit": limit,
        "scan": max(SCAN_LIMIT, limit),
        "crowded": list(crowded),
        "crowded_accounts": list(crowded_accounts),
    }
    return [Claimed(*row) for row in hot.fetch_all(CLAIM, parameters)]


def expire(*, limit: int, now: datetime) -> list[Lost]:
    """Put in doubt what was leased for too long."""
    with connection.cursor() as cursor:
        cursor.execute(EXPIRE, {"now": now, "limit": limit})
        return [Lost(*row) for row in cursor.fetchall()]


@dataclass(frozen=True, slots=True)
class PutBack:
    """A claim that was not begun: due as before or at a later time, for a reason."""

    claimed: Claimed
    due_at: datetime | None = None
    reason: str | None = None


def put_back(claims: Sequence[PutBack]) -> None:
    """Give back what was claimed and not begun; it does not count as an attempt."""
    if not claims:
        return
    columns: list[Any] = [
        [one.claimed.id for one in claims],
        [one.claimed.token for one in claims],
        [one.due_at for one in claims],
        [one.reason for one in claims],
    ]
    hot.execute(PUT_BACK, columns)


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
    rows = hot.fetch_all(REPORT, [list(column) for column in zip(*columns, strict=True)])
    return {id for (id,) in rows}
