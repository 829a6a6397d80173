"""How much of its quotas an account has used, for the API and the console."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from django.core.cache import cache
from django.utils import timezone

from accounts.models import Account
from apikeys.models import ApiKey
from sending import quota_counters, quotas
from sending.models import QuotaCounter
from sending.periods import Period
from sending.quotas import Quota, Spending

KEYS_SHOWN = 5
COUNTED_EVERY_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Use:
    """What is used of a limit until it starts anew; `allowed` is None where there is no limit."""

    period: Period
    used: int
    allowed: int | None
    resets_at: datetime

    @property
    def percent(self) -> int:
        return 0 if not self.allowed else min(100, self.used * 100 // self.allowed)


@dataclass(frozen=True, slots=True)
class KeyUse:
    key: ApiKey
    use: Use


def of_account(account: Account, *, now: datetime | None = None) -> list[Use]:
    """The day and the month. Without a quota, the messages themselves are counted, and what is
    told may be a minute old."""
    today = (now or timezone.now()).astimezone(UTC).date()
    limits = {one.period: one for one in quotas.of_account(account.pk, account.plan)}
    found = []
    for period in Period:
        limit = limits.get(period)
        quota = limit or Quota(account.pk, period, 0)
        spending = Spending(account.pk, (quota,), 0, today)
        used = quota_counters.used_of(spending)[0] if limit else _counted(spending, quota)
        found.append(Use(period, used, limit.allowed if limit else None, period.ends_at(today)))
    return found


def _counted(spending: Spending, quota: Quota) -> int:
    """Some microseconds for each recipient, so counted no more than once a minute."""
    name = f"usage:{quota.counter_id}:{quota.period}:{quota.period.start(spending.today)}"
    known = cache.get(name)
    if known is None:
        known = quota_counters.ledger(spending, quota)
        cache.set(name, known, COUNTED_EVERY_SECONDS)
    return int(known)


def limited(account: Account, *, now: datetime | None = None) -> list[Use]:
    """Only what has a limit, the day first; that costs no counting of messages."""
    today = (now or timezone.now()).astimezone(UTC).date()
    bound = quotas.of_account(account.pk, account.plan)
    if not bound:
        return []
    used = quota_counters.used_of(Spending(account.pk, bound, 0, today))
    return [
        Use(one.period, count, one.allowed, one.period.ends_at(today))
        for one, count in zip(bound, used, strict=True)
    ][::-1]


def of_keys(account_id: UUID, *, now: datetime | None = None) -> list[KeyUse]:
    """The keys that used most of their quota of today, those that used it up first."""
    today = (now or timezone.now()).astimezone(UTC).date()
    counters = QuotaCounter.objects.filter(
        account_id=account_id, period=Period.DAY, starts_on=today
    ).exclude(counter_id=account_id)
    most = sorted(counters, key=lambda one: -one.used / one.allowed)[:KEYS_SHOWN]
    return _with_their_keys(most)


def _with_their_keys(counters: Sequence[QuotaCounter]) -> list[KeyUse]:
    keys = ApiKey.objects.in_bulk([one.counter_id for one in counters])
    return [
        KeyUse(keys[one.counter_id], Use(Period.DAY, one.used, one.allowed, one.resets_at))
        for one in counters
    ]
