"""A database with one account of many audit entries, for the benchmarks of the audit log.

The entries are made by Postgres itself, from their numbers, some hundred thousand a transaction:
they spread over 90 days, and their commitments and leaf hashes are true ones, so that the real
sealer seals them and the real exporter proves them. Neighbours in time stay neighbours in key and
address; one key was used in the first week only.
"""

import time
from datetime import timedelta
from uuid import UUID

from django.db import connection
from django.utils import timezone

from benchmarks import databases

DATABASE = "queensmtp_bench_audit"
ACCOUNT = UUID("0199beef-0000-7000-8000-000000000001")
# A tenth of all entries are another account's, between ours.
OTHER = UUID("0199beef-0000-7000-8000-000000000002")
CHUNK = 200_000
DAYS = 90

# What entry n says. The fields follow from n by arithmetic, so every filter knows its answer.
ENTRIES = """
WITH numbered AS MATERIALIZED (
    SELECT n, %(start)s::timestamptz + n * %(step)s::interval AS at,
        CASE WHEN n %% 10 = 9 THEN %(other)s ELSE %(account)s END::uuid AS account_id,
        CASE WHEN n %% 100 < 2 THEN 'user' WHEN n %% 100 < 3 THEN 'system' ELSE 'key' END AS kind,
        CASE WHEN n < %(total)s / 13 THEN 1 ELSE 2 + (n * 7919 %% 50) END AS key_number,
        CASE WHEN n %% 1000 = 1 THEN 'api_key.updated' WHEN n %% 1000 = 2 THEN 'domain.created'
             WHEN n %% 1000 = 100 THEN 'api_key.created' WHEN n %% 1000 = 200 THEN 'api_key.revoked'
             WHEN n %% 100 < 2 THEN 'user.signed_in' WHEN n %% 100 < 3 THEN 'webhook.updated'
             WHEN n %% 5 = 4 THEN 'email.read' ELSE 'email.submitted' END AS event,
        CASE WHEN n %% 97 = 5 THEN 'refused' WHEN n %% 4999 = 7 THEN 'failed'
             ELSE 'allowed' END AS outcome,
        '10.' || n * 7919 %% 50 || '.' || n / 1000 %% 250 || '.' || n %% 200 AS ip,
        lpad(to_hex(n), 12, '0') AS hex
    FROM generate_series(%(first)s::bigint, %(past)s::bigint - 1) AS n
), said AS (
    SELECT *, (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7000' || '8000'
            || hex)::uuid AS id,
        to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS at_text,
        CASE kind WHEN 'key' THEN '0199cafe-0000-7000-8000-' || lpad(to_hex(key_number), 12, '0')
             WHEN 'user' THEN '0199face-0000-7000-8000-' || lpad(to_hex(n / 100 %% 20), 12, '0')
             ELSE 'retention' END AS actor_id,
        '0199babe-0000-7000-8000-' || hex AS request_id,
        '0199feed-0000-7000-8000-' || CASE WHEN event LIKE 'email.%%' THEN hex
             ELSE lpad(to_hex(n / 1000 %% 300), 12, '0') END AS target_id,
        CASE WHEN event LIKE 'email.%%' THEN ''
             ELSE 'shop ' || n / 1000 %% 300 || ' of region ' || n / 1000 %% 7 END AS target_label,
        CASE WHEN kind = 'key' AND n %% 4 = 0 THEN '{"unit":"unit ' || key_number %% 5 || '"}'
             ELSE '{}' END AS labels
    FROM numbered
), private AS (
    SELECT *, sha256(decode('00112233445566778899' || hex, 'hex') || convert_to(
        '{"actor_label":"actor ' || key_number || '","changes":{"from":"a@shop.example"},'
        '"client_request_id":"","ip":"' || ip || '","target_label":"' || target_label
        || '","user_agent":"curl/8.5.0"}', 'UTF8')) AS committed
    FROM said
), recorded AS (
    INSERT INTO auditlog_entry SELECT id, account_id, at, 1, event, outcome, kind, actor_id,
        CASE WHEN kind = 'key' THEN actor_id::uuid END, request_id,
        split_part(event, '.', 1), target_id, labels::jsonb, 1, committed,
        decode('00112233445566778899' || hex, 'hex'), 'actor ' || key_number, target_label,
        ip::inet, 'curl/8.5.0', '', '{"from":"a@shop.example"}',
        event = 'email.read' AND outcome = 'allowed'
    FROM private
)
INSERT INTO auditlog_pending SELECT id, account_id, sha256('\\x00'::bytea || convert_to(
    '{"account_id":"' || account_id || '","actor":{"id":"' || actor_id || '","type":"' || kind
    || '"},"count":1,"created_at":"' || at_text || '","event":"' || event || '","id":"' || id
    || '","key_id":' || CASE WHEN kind = 'key' THEN '"' || actor_id || '"' ELSE 'null' END
    || ',"labels":' || labels || ',"outcome":"' || outcome || '","private_hash":"'
    || translate(encode(committed, 'base64'), E'\\n', '') || '","request_id":"' || request_id
    || '","target":{"id":"' || target_id || '","type":"' || split_part(event, '.', 1)
    || '"},"version":1}', 'UTF8')) FROM private
"""


def fill(total: int) -> None:
    """Make the database, unless it holds so many entries already; the connection is `app`'s."""
    databases.ensure(DATABASE)
    databases.take_role("worker")
    have = _scalar("SELECT count(*) FROM auditlog_entry")
    if have < total:
        started = time.perf_counter()
        _insert(have, total)
        print(f"  {total - have:,} entries inserted in {time.perf_counter() - started:.0f} s")
    databases.take_role("owner")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE auditlog_entry")
    databases.take_role("app")


def vacuumed() -> None:
    """What autovacuum does in time: the benchmark does not wait for it."""
    databases.take_role("owner")
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) auditlog_entry, auditlog_posting, auditlog_leaf")
    databases.take_role("app")


def drop() -> None:
    databases.drop(DATABASE)


def start_of(total: int) -> tuple[object, timedelta]:
    """When the first entry was, and how far each stands from the next."""
    now = timezone.now()
    return now - timedelta(days=DAYS), timedelta(days=DAYS) / max(total, 1)


def _insert(have: int, total: int) -> None:
    start, step = start_of(total)
    with connection.cursor() as cursor:
        cursor.execute("SELECT ensure_partitions(-14, 8)")
        for first in range(have, total, CHUNK):
            cursor.execute(
                ENTRIES,
                {
                    "start": start,
                    "step": step,
                    "total": total,
                    "first": first,
                    "past": min(first + CHUNK, total),
                    "account": ACCOUNT,
                    "other": OTHER,
                },
            )


def _scalar(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])
