"""Delivers what is due. Outcomes are events, not audit entries (`design.md` 3.6)."""

import logging
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import cache

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from sending import (
    destinations,
    events,
    feedback,
    outcomes,
    queue,
    rounds,
    sandbox,
    scheduling,
    suppressed,
)
from sending.backoff import Schedule
from sending.models import IdempotentRequest
from sending.parcels import Carried
from sending.rounds import Round

CLAIMED_AT_ONCE = 200

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
            claimed_count += Round(limit=limit, carriers=_carriers(), record=_record).run()
        finally:
            _round.release()
    return claimed_count


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
    return ThreadPoolExecutor(rounds.places(), thread_name_prefix="carrier")
