"""Gathers how keys were used from the leaves of the audit log, behind the sealer.

Each account's leaves are followed in their order, so every request counts once, whatever order
transactions committed in, and a run that was cut off is done again as a whole. Nothing of it is
paid for by a request. A key that turns up in a network where it never was raises an alarm.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from django.db import connection, transaction

from apikeys import alarms
from apikeys.announcements import announce
from apikeys.audit import Event
from apikeys.models import ApiKey
from auditlog import actions as audit
from queensmtp import tenancy
from queensmtp.actors import Actor, Origin, Target
from queensmtp.ids import new_id

GATHERED_AT_ONCE = 5_000
# Any number will do that no other advisory lock uses.
GATHERER_LOCK = 0x6A7E
KIND = "api_key.new_network"
# Workers may read no more of a key than this.
KNOWN = ("id", "account_id", "name", "prefix", "last4")

BEHIND = """
SELECT h.account_id, coalesce(g.leaf_count, 0), h.size
FROM auditlog_head h LEFT JOIN apikeys_gathered g USING (account_id)
WHERE h.size > coalesce(g.leaf_count, 0)
ORDER BY h.account_id LIMIT 200
"""

# A statement sees none of its own insertions: `known` are the networks from before. What is older
# than a day is history that is gathered for the first time.
GATHER = """
WITH used AS MATERIALIZED (
    SELECT e.id, e.key_id, e.outcome, e.created_at, e.ip, e.user_agent, e.request_id,
           text(network(set_masklen(e.ip, CASE family(e.ip) WHEN 4 THEN 24 ELSE 48 END))) AS network
    FROM auditlog_leaf l JOIN auditlog_entry e ON e.account_id = l.account_id AND e.id = l.entry_id
    WHERE l.account_id = %(account_id)s AND l.leaf_index >= %(first)s AND l.leaf_index < %(past)s
      AND e.actor_type = 'key' AND e.key_id IS NOT NULL
),
days AS (
    INSERT INTO apikeys_dayofuse AS stored (account_id, key_id, day, outcome, request_count)
    SELECT %(account_id)s, key_id, (created_at AT TIME ZONE 'UTC')::date, outcome, count(*)
    FROM used GROUP BY 2, 3, 4
    ON CONFLICT (key_id, day, outcome)
        DO UPDATE SET request_count = stored.request_count + excluded.request_count
),
last AS (
    INSERT INTO apikeys_lastuse AS stored (account_id, key_id, used_at, ip, user_agent)
    SELECT DISTINCT ON (key_id) %(account_id)s::uuid, key_id, created_at, ip, user_agent
    FROM used WHERE outcome = 'allowed' ORDER BY key_id, id DESC
    ON CONFLICT (key_id) DO UPDATE
        SET used_at = excluded.used_at, ip = excluded.ip, user_agent = excluded.user_agent
        WHERE stored.used_at <= excluded.used_at
),
firsts AS MATERIALIZED (
    SELECT DISTINCT ON (key_id, network)
           key_id, network, created_at, host(ip) AS ip, user_agent, request_id
    FROM used WHERE outcome = 'allowed' AND ip IS NOT NULL ORDER BY key_id, network, id
),
fresh AS (
    INSERT INTO apikeys_seennetwork (account_id, key_id, network, first_seen_at)
    SELECT %(account_id)s, key_id, network, created_at FROM firsts
    ON CONFLICT (key_id, network) DO NOTHING
    RETURNING key_id, network
)
SELECT f.key_id, f.network, f.ip, f.user_agent, f.request_id
FROM fresh JOIN firsts f USING (key_id, network)
WHERE f.created_at > now() - interval '1 day' AND (
    EXISTS (SELECT 1 FROM apikeys_seennetwork known WHERE known.key_id = f.key_id)
    OR EXISTS (SELECT 1 FROM firsts o WHERE o.key_id = f.key_id AND o.created_at < f.created_at)
)
ORDER BY f.created_at
"""

ADVANCE = """
INSERT INTO apikeys_gathered (account_id, leaf_count) VALUES (%s, %s)
ON CONFLICT (account_id) DO UPDATE SET leaf_count = EXCLUDED.leaf_count
"""

TEXT = """\
The API key {name} ({masked}) was used from a network where it never was before.

Network: {network}
Address: {address}
Client: {user_agent}
Request: {request_id}

If that is yours, there is nothing to do. If not, revoke the key at once, and give its successor \
an allowlist.
"""


class Stretch(NamedTuple):
    """The leaves of an account that are to be gathered now, ``first <= index < past``."""

    account_id: UUID
    first: int
    past: int


class Arrival(NamedTuple):
    """The first use of a key from a network, when it had been used elsewhere before."""

    key_id: UUID
    network: str
    address: str
    user_agent: str
    request_id: str


def gather_all(*, at_once: int = GATHERED_AT_ONCE) -> int:
    """Gather whatever was sealed; return how many leaves were looked at."""
    total = 0
    while done := _gather_some(at_once):
        total += done
    return total


@transaction.atomic
def _gather_some(at_once: int) -> int:
    if not _holds_lock():
        return 0
    total = 0
    for stretch in _behind(at_once):
        _gather(stretch)
        total += stretch.past - stretch.first
        if total >= at_once:
            break
    return total


def _holds_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [GATHERER_LOCK])
        return bool(cursor.fetchone()[0])


def _behind(at_once: int) -> list[Stretch]:
    with connection.cursor() as cursor:
        cursor.execute(BEHIND)
        return [
            Stretch(account_id, first, min(size, first + at_once))
            for account_id, first, size in cursor.fetchall()
        ]


def _gather(stretch: Stretch) -> None:
    with connection.cursor() as cursor:
        cursor.execute(GATHER, stretch._asdict())
        arrivals = [Arrival(*row) for row in cursor.fetchall()]
        cursor.execute(ADVANCE, [stretch.account_id, stretch.past])
    if arrivals:
        _tell(stretch.account_id, arrivals)


def _tell(account_id: UUID, arrivals: Sequence[Arrival]) -> None:
    with tenancy.tenant(account_id):
        known = ApiKey.objects.filter(account_id=account_id).only(*KNOWN)
        keys = known.in_bulk([one.key_id for one in arrivals])
        for arrival in arrivals:
            if key := keys.get(arrival.key_id):
                _tell_one(key, arrival)


def _tell_one(key: ApiKey, arrival: Arrival) -> None:
    audit.record(
        by=_actor(key, arrival),
        event=Event.NEW_NETWORK_SEEN,
        target=Target("api_key", str(key.pk), key.name),
        changes={"network": arrival.network, "seen_in_request": arrival.request_id},
    )
    announce(
        key,
        KIND,
        network=arrival.network,
        ip=arrival.address,
        user_agent=arrival.user_agent or None,
        request_id=arrival.request_id,
    )
    about = f"{key.pk} {alarms.this_hour()}"
    if alarms.is_first(account_id=key.account_id, kind=KIND, about=about):
        alarms.tell_admins(
            account_id=key.account_id,
            kind=KIND,
            subject=f"API key {key.name} was used from a new network",
            text=TEXT.format(
                name=key.name,
                masked=key.masked,
                network=arrival.network,
                address=arrival.address,
                user_agent=arrival.user_agent or "unknown",
                request_id=arrival.request_id,
            ),
        )


def _actor(key: ApiKey, arrival: Arrival) -> Actor:
    return Actor(
        type="system",
        id="networks",
        label="networks",
        account_id=key.account_id,
        origin=Origin(arrival.address, arrival.user_agent, str(new_id())),
        key_id=key.pk,
    )
