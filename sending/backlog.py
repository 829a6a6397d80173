"""What a worker has claimed and not begun: who comes next, and how many go to one place. Pure.

Accounts take turns, and within an account its destinations do, so that a flood of one delays
nobody else. A destination gets at most its share of the worker's connections: one that answers
slowly keeps the others free. Some places are left to the other accounts whatever one account has:
who writes to a hundred domains of his own, none of which answers, delays only himself.
"""

from collections import OrderedDict, deque
from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar
from uuid import UUID

from sending.parcels import Parcel

_Queues = OrderedDict[str, deque[Parcel]]
Key = TypeVar("Key")


class Backlog:
    """`places` deliveries at once in all, `per_account` of them for one account and
    `per_destination` to one destination."""

    def __init__(
        self, *, places: int, per_account: int, per_destination: int, waiting_limit: int
    ) -> None:
        self.places = places
        self.per_account = per_account
        self.per_destination = per_destination
        self.waiting_limit = waiting_limit
        self.waiting_count = 0
        self.running_count = 0
        self._waiting: OrderedDict[UUID, _Queues] = OrderedDict()
        self._running: dict[str, int] = {}
        self._running_of: dict[UUID, int] = {}
        self._allowed: dict[str, int] = {}

    def add(self, parcels: Iterable[Parcel]) -> None:
        for parcel in parcels:
            queues = self._waiting.setdefault(parcel.message.account_id, OrderedDict())
            queues.setdefault(parcel.domain, deque()).append(parcel)
            self.waiting_count += 1

    def limit(self, allowed: Mapping[str, int]) -> None:
        """Some destinations take less than the usual share."""
        self._allowed |= allowed

    @property
    def limited(self) -> Collection[str]:
        return self._allowed.keys()

    @property
    def wants_more(self) -> bool:
        """Whether places are free for which nothing waits that may be begun."""
        is_idle = self.running_count < self.places or not self.waiting_count
        return is_idle and self.waiting_count < self.waiting_limit

    def begin(self) -> Parcel | None:
        """Take out the next parcel that may be carried now, or None."""
        if self.running_count >= self.places:
            return None
        for account_id in list(self._waiting):
            parcel = self._begin_of(account_id)
            if parcel is not None:
                return parcel
        return None

    def end(self, parcel: Parcel) -> None:
        """A parcel that was begun has been carried."""
        self.running_count -= 1
        _uncount(self._running, parcel.domain)
        _uncount(self._running_of, parcel.message.account_id)

    def take_stale(self, now: float) -> list[Parcel]:
        """Take out what could no longer be begun within its lease (`now` as `begin_by`)."""
        stale: list[Parcel] = []
        for account_id, queues in list(self._waiting.items()):
            for domain, parcels in list(queues.items()):
                while parcels and parcels[0].begin_by < now:
                    stale.append(parcels.popleft())
                self._drop_empty(account_id, domain)
        self.waiting_count -= len(stale)
        return stale

    def crowded(self) -> list[str]:
        """Destinations of which no more should be claimed: all their places are taken, and as
        much waits."""
        waiting: dict[str, int] = {}
        for queues in self._waiting.values():
            for domain, parcels in queues.items():
                waiting[domain] = waiting.get(domain, 0) + len(parcels)
        return [
            domain
            for domain, count in waiting.items()
            if not self._has_room(domain) and count >= self._share(domain)
        ]

    def crowded_accounts(self) -> list[UUID]:
        """Accounts of which no more should be claimed, for the same reason."""
        return [
            account_id
            for account_id, queues in self._waiting.items()
            if not self._has_room_for(account_id)
            and sum(map(len, queues.values())) >= self.per_account
        ]

    def _begin_of(self, account_id: UUID) -> Parcel | None:
        if not self._has_room_for(account_id):
            return None
        queues = self._waiting[account_id]
        domain = next((one for one in queues if self._has_room(one)), None)
        if domain is None:
            return None
        parcel = queues[domain].popleft()
        # Behind the others, both the destination and the account: the next turn is theirs.
        queues.move_to_end(domain)
        self._waiting.move_to_end(account_id)
        self._drop_empty(account_id, domain)
        self.waiting_count -= 1
        self.running_count += 1
        self._running[domain] = self._running.get(domain, 0) + 1
        self._running_of[account_id] = self._running_of.get(account_id, 0) + 1
        return parcel

    def _drop_empty(self, account_id: UUID, domain: str) -> None:
        queues = self._waiting[account_id]
        if not queues[domain]:
            del queues[domain]
        if not queues:
            del self._waiting[account_id]

    def _has_room_for(self, account_id: UUID) -> bool:
        return self._running_of.get(account_id, 0) < self.per_account

    def _has_room(self, domain: str) -> bool:
        return self._running.get(domain, 0) < self._share(domain)

    def _share(self, domain: str) -> int:
        return min(self._allowed.get(domain, self.per_destination), self.per_destination)


def _uncount(counts: dict[Key, int], key: Key) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
