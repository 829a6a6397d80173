"""One worker's round: claim, carry in threads, record; until nothing is due.

Places that are free again are filled at once, and outcomes are recorded together, a few
milliseconds after the first of them: a destination that does not answer delays only itself, and a
transaction is not paid for each message.
"""

import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from datetime import timedelta
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from sending import admission, destinations, parcels, queue
from sending.backlog import Backlog
from sending.courier import DELIVERY_SECONDS
from sending.parcels import Carried, Parcel
from sending.queue import PutBack

LONGEST_DELIVERY_SECONDS = DELIVERY_SECONDS + 5
CLAIM_EVERY_SECONDS = 0.2
# One account has DELIVERY_CONNECTIONS places; this share of them is there for the others besides.
RESERVED_SHARE = 0.25
# A round ends by itself, so that a worker that is told to stop does.
ROUND_SECONDS = 30.0
# Claimed and not begun: what waits for destinations that are slow.
WAITING_LIMIT = 1_000
CROWDED_SECONDS = 10.0
RECORD_WITHIN_SECONDS = 0.05
RECORD_AT_ONCE = 100

Record = Callable[[Sequence[Carried], Collection[str]], None]


class Round:
    """`record` stores outcomes in one transaction; it is told which destinations are limited."""

    def __init__(self, *, limit: int, carriers: Executor, record: Record) -> None:
        self.claimed_count = 0
        self._limit = limit
        self._carriers = carriers
        self._record = record
        self._backlog = Backlog(
            places=places(),
            per_account=settings.DELIVERY_CONNECTIONS,
            per_destination=settings.DELIVERY_CONNECTIONS_PER_DESTINATION,
            waiting_limit=WAITING_LIMIT,
        )
        self._running: dict[Future[Carried], Parcel] = {}
        self._landed: list[Carried] = []
        self._record_at = 0.0
        self._claim_at = 0.0
        self._look_for_others_at = 0.0

    def run(self) -> int:
        """How many recipients were claimed."""
        ends_at = time.monotonic() + ROUND_SECONDS
        while True:
            queue.put_back(_too_late(self._backlog.take_stale(time.monotonic())))
            newly = self._fill() if time.monotonic() < ends_at else 0
            self._begin()
            if not self._running and not newly:
                self._settle()
                return self.claimed_count
            self._land()
            if self._must_record():
                self._settle()

    def _fill(self) -> int:
        """Claim where places are free, unless the last claim has just found all that is due."""
        if not self._backlog.wants_more:
            return 0
        crowded = self._backlog.crowded_accounts()
        not_before = self._look_for_others_at if crowded else self._claim_at
        if self._running and time.monotonic() < not_before:
            return 0
        claimed_count = self._claim(crowded)
        if crowded:
            # What this found says nothing of the accounts that were left out.
            self._look_for_others_at = time.monotonic() + CLAIM_EVERY_SECONDS
        elif claimed_count < self._limit:
            self._claim_at = time.monotonic() + CLAIM_EVERY_SECONDS
        self.claimed_count += claimed_count
        return claimed_count

    def _claim(self, crowded_accounts: Sequence[UUID]) -> int:
        """Claim, put aside what has to wait, and put the rest in line."""
        lease_seconds, now = settings.DELIVERY_LEASE_SECONDS, timezone.now()
        claimed = queue.claim(
            limit=self._limit,
            lease_seconds=lease_seconds,
            now=now,
            crowded=self._backlog.crowded(),
            crowded_accounts=crowded_accounts,
        )
        if not claimed:
            return 0
        begin_by = time.monotonic() + lease_seconds - LONGEST_DELIVERY_SECONDS
        sorted_out = admission.admit(parcels.pack(claimed, begin_by=begin_by), now=now)
        loaded, surplus = parcels.load(sorted_out.admitted)
        queue.put_back(
            [
                PutBack(claim, aside.until, aside.reason)
                for aside in sorted_out.aside
                for claim in aside.parcel.claimed
            ]
            + [PutBack(claim) for parcel in surplus for claim in parcel.claimed]
        )
        destinations.recall_policies(parcel.domain for parcel in loaded)
        self._backlog.limit(sorted_out.allowed)
        self._backlog.add(loaded)
        return len(claimed)

    def _begin(self) -> None:
        while parcel := self._backlog.begin():
            self._running[self._carriers.submit(parcels.carry, parcel)] = parcel

    def _land(self) -> None:
        """Wait for the next outcome, or until the ones that came before must be recorded."""
        seconds = CLAIM_EVERY_SECONDS
        if self._landed:
            seconds = max(0.0, self._record_at - time.monotonic())
        done, _ = wait(self._running, timeout=seconds, return_when=FIRST_COMPLETED)
        if done and not self._landed:
            self._record_at = time.monotonic() + RECORD_WITHIN_SECONDS
        for future in done:
            self._backlog.end(self._running.pop(future))
            self._landed.append(future.result())

    def _must_record(self) -> bool:
        if not self._landed:
            return False
        is_time = time.monotonic() >= self._record_at
        return is_time or len(self._landed) >= RECORD_AT_ONCE or not self._running

    def _settle(self) -> None:
        """Record what was carried, and give back what could not begin within its lease."""
        carried, self._landed = self._landed, []
        self._record([one for one in carried if one.was_begun], self._backlog.limited)
        queue.put_back(_too_late([one.parcel for one in carried if not one.was_begun]))


def places() -> int:
    """How many deliveries a worker has at once, of all accounts."""
    connections: int = settings.DELIVERY_CONNECTIONS
    return connections + max(1, int(connections * RESERVED_SHARE))


def _too_late(waited: Sequence[Parcel]) -> list[PutBack]:
    """Claims that waited for a place for as long as their lease allowed. They wait a little
    longer, so that what can begin at once comes first."""
    due_at = timezone.now() + timedelta(seconds=CROWDED_SECONDS)
    return [PutBack(claim, due_at) for parcel in waited for claim in parcel.claimed]
