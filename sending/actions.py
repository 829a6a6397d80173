"""Delivers what is due. Outcomes are events, not audit entries (`design.md` 3.6)."""

import logging
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from functools import cache

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from sending import (
    admission,
    destinations,
    events,
    feedback,
    outcomes,
    parcels,
    queue,
    sandbox,
    scheduling,
    suppressed,
)
from sending.backlog import Backlog
from sending.backoff import Schedule
from sending.courier import DELIVERY_SECONDS
from sending.models import IdempotentRequest
from sending.parcels import Carried, Parcel
from sending.queue import PutBack

CLAIMED_AT_ONCE = 200
LONGEST_DELIVERY_SECONDS = DELIVERY_SECONDS + 5
CLAIM_EVERY_SECONDS = 0.2
# A round ends by itself, so that a worker that is told to stop does.
ROUND_SECONDS = 30.0
# Claimed and not begun: what waits for destinations that are slow.
WAITING_LIMIT = 1_000
CROWDED_SECONDS = 10.0

_round = threading.Lock()
_asked = threading.Event()

logger = logging.getLogger(__name__)


def deliver_due(*, limit: int = CLAIMED_AT_ONCE) -> int:
    """Claim and deliver until nothing is due; how many recipients were claimed.

    One round at a time in a process, since rounds share its connections. A call during a round
    makes that one look once more before it ends.
    """
    _asked.set()
    claimed_count = 0
    while _asked.is_set() and _round.acquire(blocking=False):
        try:
            _asked.clear()
            put_lost_in_doubt(now=timezone.now())
            tell_suppressed(now=timezone.now())
            while scheduling.release_due(now=timezone.now()):
                pass
            claimed_count += _run_round(limit)
        finally:
            _round.release()
    return claimed_count


def _run_round(limit: int) -> int:
    """Outcomes are recorded as they come and their places filled again, so that a destination
    that does not answer delays only itself."""
    backlog = Backlog(
        places=settings.DELIVERY_CONNECTIONS,
        per_destination=settings.DELIVERY_CONNECTIONS_PER_DESTINATION,
        waiting_limit=WAITING_LIMIT,
    )
    running: dict[Future[Carried], Parcel] = {}
    claimed_count, ends_at = 0, time.monotonic() + ROUND_SECONDS
    while True:
        queue.put_back(_too_late(backlog.take_stale(time.monotonic())))
        newly = 0
        if backlog.wants_more and time.monotonic() < ends_at:
            newly = _fill(backlog, limit)
            claimed_count += newly
        while parcel := backlog.begin():
            running[_carriers().submit(parcels.carry, parcel)] = parcel
        if not running and not newly:
            return claimed_count
        done, _ = wait(running, timeout=CLAIM_EVERY_SECONDS, return_when=FIRST_COMPLETED)
        for future in done:
            backlog.end(running.pop(future))
        _settle([future.result() for future in done], limited=backlog.limited)


def _fill(backlog: Backlog, limit: int) -> int:
    """Claim, put aside what has to wait, and put the rest in line; how many were claimed."""
    lease_seconds, now = settings.DELIVERY_LEASE_SECONDS, timezone.now()
    claimed = queue.claim(
        limit=limit, lease_seconds=lease_seconds, now=now, crowded=backlog.crowded()
    )
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
    backlog.limit(sorted_out.allowed)
    backlog.add(loaded)
    return len(claimed)


def _too_late(parcels: Sequence[Parcel]) -> list[PutBack]:
    """Claims that waited for a place for as long as their lease allowed. They wait a little
    longer, so that what can begin at once comes first."""
    due_at = timezone.now() + timedelta(seconds=CROWDED_SECONDS)
    return [PutBack(claim, due_at) for parcel in parcels for claim in parcel.claimed]


def _settle(carried: Sequence[Carried], *, limited: Collection[str]) -> None:
    """Record what was carried, and give back what could not begin within its lease."""
    _record([one for one in carried if one.was_begun], limited)
    queue.put_back(_too_late([one.parcel for one in carried if not one.was_begun]))


@transaction.atomic
def put_lost_in_doubt(*, now: datetime, limit: int = 1_000) -> int:
    """Leases that ran out: nobody knows whether those messages arrived."""
    lost = queue.expire(limit=limit, now=now)
    told = [outcomes.lost_event(one, now=now) for one in lost]
    events.tell_later(told, outcomes.addresses_of(lost))
    return len(lost)


@transaction.atomic
def tell_suppressed(*, now: datetime, limit: int = 1_000) -> int:
    """Tell of those whom the accept statement suppressed."""
    taken = suppressed.take_untold(limit=limit, now=now)
    stops = suppressed.find_stops((one.account_id, one.address) for one in taken)
    events.tell_later(
        suppressed.events_of(taken, stops, now=now), {one.id: one.address for one in taken}
    )
    return len(taken)


def forget_idempotency(*, now: datetime) -> int:
    """Delete the answers whose time is over."""
    deleted, _ = IdempotentRequest.objects.filter(expires_at__lte=now).delete()
    return deleted


@transaction.atomic
def _record(carried: Sequence[Carried], limited: Collection[str]) -> None:
    if not carried:
        return
    now, schedule = timezone.now(), Schedule(final_age_seconds=settings.DELIVERY_FINAL_AGE_SECONDS)
    all_told = [one for each in carried for one in outcomes.told(each, schedule=schedule, now=now)]
    ours = queue.report([one.report for one in all_told])
    taken = [one for one in all_told if one.report.claimed.id in ours]
    _warn_of_lost_leases(len(all_told) - len(taken))
    messages = {each.parcel.message.pk: each.parcel.message for each in carried}
    headers = {each.parcel.message.pk: each.headers for each in carried}
    addresses = outcomes.addresses_of(one.report.claimed for one in taken)
    told = [one.event for one in taken]
    told += sandbox.complaints(told, addresses, now=now)
    events.tell(told, addresses, messages, headers)
    feedback.suppress_bounced(told, list(messages.values()))
    destinations.learn(carried, limited=limited, now=now)
    destinations.store_policies()


def _warn_of_lost_leases(count: int) -> None:
    if count:
        logger.warning("outcomes_came_too_late", extra={"count": count})


@cache
def _carriers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(settings.DELIVERY_CONNECTIONS, thread_name_prefix="carrier")
