"""How many recipients an account, or one key, may write to in a day and in a month.

Days and months are UTC's. Where there is no quota, no counter is touched.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from apikeys.policy import KeyRecord
from sending import sandbox
from sending.periods import Period


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit and the counter that it is held against."""

    counter_id: UUID
    period: Period
    allowed: int
    is_of_key: bool = False

    @property
    def header(self) -> str:
        """The name that Resend's users read; the value is what is used, not what is left."""
        return f"x-resend-{self.period.adverb}-quota"


@dataclass(frozen=True, slots=True)
class Spending:
    """What one request takes from each quota that binds it."""

    account_id: UUID
    quotas: tuple[Quota, ...]
    cost: int
    today: date

    def counters(self) -> list[Any]:
        """Which counters, as three arrays."""
        return [
            [one.counter_id for one in self.quotas],
            [one.period.value for one in self.quotas],
            [one.period.start(self.today) for one in self.quotas],
        ]

    def params(self) -> list[Any]:
        """The last values of the statements that spend."""
        return [*self.counters(), [one.allowed for one in self.quotas], self.cost]


def of_account(account_id: UUID, plan: str) -> tuple[Quota, ...]:
    limits = (
        (Period.MONTH, settings.MONTHLY_QUOTAS.get(plan)),
        (Period.DAY, settings.DAILY_QUOTAS.get(plan)),
    )
    return tuple(Quota(account_id, period, allowed) for period, allowed in limits if allowed)


def of_key(key: KeyRecord) -> tuple[Quota, ...]:
    """Those of the account, then the key's own: always in this order, so that two requests never
    wait for each other's counters in a ring."""
    found = of_account(key.account_id, key.account_plan)
    if key.daily_quota is None:
        return found
    counter_id = key.quota_counter_id or key.id
    return (*found, Quota(counter_id, Period.DAY, key.daily_quota, is_of_key=True))


def cost_of(addresses: Iterable[str], *, environment: str) -> int:
    """Each recipient is one; what stays in the sandbox costs nothing."""
    return sum(not sandbox.holds(environment=environment, address=one) for one in addresses)


def spending_of(
    account_id: UUID,
    quotas: tuple[Quota, ...],
    addresses: Iterable[str],
    *,
    environment: str,
    now: datetime,
) -> Spending | None:
    """What mail to these addresses spends; None when no counter need be touched."""
    cost = cost_of(addresses, environment=environment) if quotas else 0
    return Spending(account_id, quotas, cost, now.astimezone(UTC).date()) if cost else None


def spending_of_key(key: KeyRecord, addresses: Iterable[str], *, now: datetime) -> Spending | None:
    quotas = of_key(key)
    return spending_of(key.account_id, quotas, addresses, environment=key.environment, now=now)


def headers(spending: Spending | None, used: Sequence[int] | None) -> dict[str, str]:
    """What the account has used."""
    if spending is None or used is None:
        return {}
    counted = zip(spending.quotas, used, strict=True)
    return {quota.header: str(count) for quota, count in counted if not quota.is_of_key}
