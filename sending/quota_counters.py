"""The counters behind the quotas, kept in Postgres (docs/adr/0067).

The statement that stores mail raises them, or stores nothing: they are what was accepted, whatever
breaks. Whoever stores mail of several accounts in one transaction must do so in the order of the
accounts' ids, since each counter is locked until the commit.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from math import ceil
from typing import Any, TypeVar
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from apikeys.models import ApiKey
from queensmtp import bell, hot, tenancy, together
from queensmtp.ids import lowest_id_at
from sending import sandbox
from sending.errors import DailyQuotaExceeded, MonthlyQuotaExceeded
from sending.gates import Refused
from sending.periods import Period
from sending.quotas import Quota, Spending

# What `spend_quota` raises.
NO_COUNTER, USED_UP = "QS001", "QS002"
WARN_TASK = "sending.tasks.warn_of_quotas"
WARNED_AT_PERCENT = (80, 100)
# An id is made a little before the time that its row carries.
ID_SLACK = timedelta(hours=1)

USED = """
WITH tenant AS MATERIALIZED (SELECT set_config('app.account_id', %s, true)::uuid AS id)
SELECT c.counter_id, c.period, c.used FROM tenant CROSS JOIN LATERAL (
    SELECT q.counter_id, q.period::text, q.used
    FROM unnest(%s::uuid[], %s::text[], %s::date[]) AS one (counter_id, period, starts_on)
    JOIN sending_quotacounter q ON q.account_id = tenant.id AND q.counter_id = one.counter_id
        AND q.period = one.period AND q.starts_on = one.starts_on
    OFFSET 0
) AS c
"""

SPEND = "SELECT spend_quota(%s::uuid, %s::uuid[], %s::text[], %s::date[], %s::bigint[], %s)"

LEDGER = f"""
SELECT count(*) FROM sending_message m JOIN sending_recipient r ON r.message_id = m.id
WHERE m.account_id = %(account)s AND r.account_id = %(account)s
  AND m.id >= %(first_id)s AND r.id >= %(first_id)s
  AND m.created_at >= %(start)s AND m.created_at < %(end)s
  AND m.environment <> '{sandbox.ENVIRONMENT}' AND r.domain <> %(sandbox)s
  AND (%(keys)s::uuid[] IS NULL OR m.key_id = ANY (%(keys)s::uuid[]))
"""
# One counts, and who waited for that finds the counter open.
OPENING = "SELECT pg_advisory_xact_lock(hashtextextended(%(counter)s::text || %(period)s, 0))"
OPEN = f"""
INSERT INTO sending_quotacounter
    (account_id, counter_id, period, starts_on, allowed, used, told_percent)
SELECT %(account)s, %(counter)s, %(period)s, %(starts_on)s, %(allowed)s, ({LEDGER}), 0
WHERE NOT EXISTS (
    SELECT 1 FROM sending_quotacounter q
    WHERE q.account_id = %(account)s AND q.counter_id = %(counter)s
      AND q.period = %(period)s AND q.starts_on = %(starts_on)s
)
"""

Answer = TypeVar("Answer")


class _NoCounter(Exception):
    """The period has no counter yet."""


def spend(spending: Spending | None, store: Callable[[], Answer]) -> Answer:
    """Run what stores mail and spends. Raises Refused when a quota has no room; then nothing is
    kept. The first request of a period opens its counters and is run again."""
    if spending is None:
        return store()
    try:
        return _refusing(spending, store)
    except _NoCounter:
        # Counting the messages of a large account takes its time.
        together.leave()
        _open(spending)
    return _refusing(spending, store)


def spend_alone(spending: Spending | None) -> None:
    """Spend in the caller's transaction, which stores the mail by other statements."""
    if spending is not None:
        params = [spending.account_id, *spending.params()]
        used = spend(spending, lambda: hot.fetch_one(SPEND, params))
        ring_when_reached(spending, used[0] if used else None)


def used_of(spending: Spending) -> list[int]:
    """What each quota has used so far. Where no counter is open yet, the messages are counted."""
    rows = hot.fetch_all(USED, [str(spending.account_id), *spending.counters()])
    found = {(counter_id, period): count for counter_id, period, count in rows}
    return [
        found[place] if (place := (one.counter_id, one.period)) in found else ledger(spending, one)
        for one in spending.quotas
    ]


def find_refusal(spending: Spending, used: Sequence[int]) -> Refused | None:
    """The refusal by the first quota that has no room, if it has used so much."""
    for quota, count in zip(spending.quotas, used, strict=True):
        if count + spending.cost > quota.allowed:
            return _no_room(spending, quota, count)
    return None


def ring_when_reached(spending: Spending | None, used: Sequence[int] | None) -> None:
    """Wake the worker that warns, when this request passed a mark."""
    if spending is None or used is None:
        return
    for quota, count in zip(spending.quotas, used, strict=True):
        before = count - spending.cost
        if any(before * 100 < mark * quota.allowed <= count * 100 for mark in WARNED_AT_PERCENT):
            bell.ring(WARN_TASK, queue="records")
            return


def ledger(spending: Spending, quota: Quota) -> int:
    """What was accepted in the period of a quota, counted from the messages themselves."""
    with tenancy.tenant(spending.account_id), connection.cursor() as cursor:
        cursor.execute(LEDGER, _ledger_params(spending, quota))
        return int(cursor.fetchone()[0])


def _refusing(spending: Spending, store: Callable[[], Answer]) -> Answer:
    try:
        with _savepoint():
            return store()
    except DatabaseError as error:
        state = getattr(error.__cause__, "sqlstate", None)
        if state == NO_COUNTER:
            raise _NoCounter from None
        if state == USED_UP:
            raise _refusal(spending, error) from None
        raise


def _savepoint() -> AbstractContextManager[None]:
    """A refusal must not spoil a transaction around it; the hot path has none."""
    return transaction.atomic() if connection.in_atomic_block else nullcontext()


def _open(spending: Spending) -> None:
    """Begin to count, with what was accepted so far: nothing at the start of a period, more where
    a quota is new. Mail that comes meanwhile waits for the row."""
    with tenancy.tenant(spending.account_id), connection.cursor() as cursor:
        for quota in spending.quotas:
            params = _ledger_params(spending, quota)
            cursor.execute(OPENING, params)
            cursor.execute(OPEN, params)


def _ledger_params(spending: Spending, quota: Quota) -> dict[str, Any]:
    period, start = quota.period, quota.period.starts_at(spending.today)
    return {
        "account": spending.account_id,
        "counter": quota.counter_id,
        "period": period.value,
        "starts_on": period.start(spending.today),
        "allowed": quota.allowed,
        "start": start,
        "end": period.ends_at(spending.today),
        "first_id": lowest_id_at(start - ID_SLACK),
        "sandbox": settings.SANDBOX_DOMAIN,
        "keys": _keys_of(quota.counter_id) if quota.is_of_key else None,
    }


def _keys_of(counter_id: UUID) -> list[UUID]:
    sharing = ApiKey.objects.filter(Q(pk=counter_id) | Q(quota_counter_id=counter_id))
    return list(sharing.values_list("pk", flat=True))


def _refusal(spending: Spending, error: DatabaseError) -> Refused:
    place, used = error.__cause__.diag.message_detail.split()  # type: ignore[union-attr]
    return _no_room(spending, spending.quotas[int(place) - 1], int(used))


def _no_room(spending: Spending, quota: Quota, used: int) -> Refused:
    kind = DailyQuotaExceeded if quota.period is Period.DAY else MonthlyQuotaExceeded
    told = _retry_after(spending, quota)
    if not quota.is_of_key:
        told[quota.header] = str(used)
    return Refused(kind(_words(spending, quota, used), headers=told))


def _words(spending: Spending, quota: Quota, used: int) -> str:
    whose = "this API key" if quota.is_of_key else "this account"
    what = f"The {quota.period.adverb} quota of {whose} is {_recipients(quota.allowed)}"
    mend = (
        "An admin of the account can raise it."
        if quota.is_of_key
        else "Whoever runs this platform can give the account a larger plan."
    )
    if spending.cost > quota.allowed:
        return f"{what}; this alone asks for {spending.cost:,}. Send fewer at once. {mend}"
    return (
        f"{what}; {used:,} are used, and this asks for {spending.cost:,} more. "
        f"It starts anew at {quota.period.end(spending.today)}T00:00:00Z. {mend}"
    )


def _recipients(count: int) -> str:
    return "1 recipient" if count == 1 else f"{count:,} recipients"


def _retry_after(spending: Spending, quota: Quota) -> dict[str, str]:
    """Nothing for what will never fit."""
    if spending.cost > quota.allowed:
        return {}
    wait = quota.period.ends_at(spending.today) - timezone.now()
    return {"Retry-After": str(max(1, ceil(wait.total_seconds())))}
