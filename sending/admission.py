"""Which of the claimed parcels may leave now, and until when the others are put aside.

A claim is fair between accounts, and knows nothing else. What an admin holds back, what a
destination or a young domain does not take now, goes back to the queue for later, so that it
stands in nobody's way.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.db.models import F, Q

from sending import destinations, warmup
from sending.models import Destination, Hold, HoldKind, Warmup
from sending.parcels import Parcel

# Letting go brings back at once what was held; this is only how often it is looked at meanwhile.
HELD_SECONDS = 3_600.0
PAUSED_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Aside:
    """A parcel that waits, and why, for the sender to read."""

    parcel: Parcel
    until: datetime
    reason: str


@dataclass(slots=True)
class Admission:
    admitted: list[Parcel] = field(default_factory=list)
    aside: list[Aside] = field(default_factory=list)
    # What the destinations that are slowed down take at once.
    allowed: dict[str, int] = field(default_factory=dict)


def admit(parcels: Sequence[Parcel], *, now: datetime) -> Admission:
    """Sort what was claimed: three queries for all of it."""
    admission = Admission()
    if not parcels:
        return admission
    slowed = destinations.paces(parcel.domain for parcel in parcels)
    admission.allowed = {name: row.allowed for name, row in slowed.items()}
    holds = _holds({parcel.message.account_id for parcel in parcels})
    young = _young({parcel.message.domain_id for parcel in parcels}, now)
    for parcel in parcels:
        aside = _held(parcel, holds, now) or _slowed(parcel, slowed, now)
        aside = aside or _warming_up(parcel, young, now)
        if aside:
            admission.aside.append(aside)
        else:
            admission.admitted.append(parcel)
    return admission


def _holds(account_ids: Iterable[UUID]) -> Mapping[tuple[UUID, str, str], Hold]:
    """By account, kind and what is held; a sending domain by its id."""
    found = Hold.objects.filter(account_id__in=account_ids)
    return {(one.account_id, one.kind, one.name): one for one in found}


def _held(
    parcel: Parcel, holds: Mapping[tuple[UUID, str, str], Hold], now: datetime
) -> Aside | None:
    if not holds:
        return None
    sender = parcel.message.sender_address.rpartition("@")[2]
    for kind, name in (
        (HoldKind.ACCOUNT, ""),
        (HoldKind.DOMAIN, sender),
        (HoldKind.DESTINATION, parcel.domain),
    ):
        hold = holds.get((parcel.message.account_id, kind, name))
        if hold:
            return Aside(parcel, now + _spread(HELD_SECONDS), _words_of(hold))
    return None


def _words_of(hold: Hold) -> str:
    because = f": {hold.reason}" if hold.reason else ""
    return f"Held back: {hold.created_by} paused {hold.words}{because}."


def _slowed(parcel: Parcel, slowed: Mapping[str, Destination], now: datetime) -> Aside | None:
    row = slowed.get(parcel.domain)
    if row is None:
        return None
    if row.is_paused:
        reason = f"Held back: the operator paused mail to {parcel.domain}."
        return Aside(parcel, now + _spread(PAUSED_SECONDS), reason)
    if not destinations.pace_of(row).is_resting(now):
        return None
    assert row.resting_until is not None
    pause = (row.resting_until - now).total_seconds()
    reason = f"Waiting: {parcel.domain} asked us to slow down: {row.reply}"
    # After the rest, not before it, and not all at once.
    return Aside(parcel, row.resting_until + _spread(pause), reason)


def _young(domain_ids: Iterable[UUID], now: datetime) -> dict[UUID, Warmup]:
    """The warm-ups under way, counting today."""
    today = now.date()
    found = Warmup.objects.filter(domain_id__in=domain_ids)
    found.filter(counted_on__lt=today).update(counted_on=today, sent_count=0)
    return {one.domain_id: one for one in found}


def _warming_up(parcel: Parcel, young: Mapping[UUID, Warmup], now: datetime) -> Aside | None:
    row = young.get(parcel.message.domain_id)
    first_tries = sum(one.attempt == 1 for one in parcel.claimed)
    if row is None or not first_tries:
        return None
    limit = warmup.limit_on(now.date(), started_on=row.started_on)
    if limit is None or _counts(row, first_tries, limit):
        return None
    reason = f"Waiting: the domain is warming up and has sent the {limit} messages of today."
    return Aside(parcel, warmup.next_day(now) + _spread(3_600.0), reason)


def _counts(row: Warmup, count: int, limit: int) -> bool:
    """Count them for today if they still fit; whoever updates the row first, fits first."""
    fits = Q(pk=row.pk, sent_count__lte=limit - count)
    return bool(Warmup.objects.filter(fits).update(sent_count=F("sent_count") + count))


def _spread(seconds: float) -> timedelta:
    return timedelta(seconds=seconds * (0.5 + random.random()))
