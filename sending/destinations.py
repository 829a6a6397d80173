"""The pace of destinations in the database: read with a claim, learned from what was carried."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from django.conf import settings

from sending import traffic
from sending.courier import Outcome
from sending.models import Destination
from sending.parcels import Carried
from sending.traffic import Pace, Tally


def paces(domains: Iterable[str]) -> dict[str, Destination]:
    """Those of the destinations that take less than their full share."""
    return Destination.objects.in_bulk(set(domains))


def learn(carried: Iterable[Carried], *, limited: Iterable[str], now: datetime) -> None:
    """Adjust the paces. Only what went badly, or was limited before, costs a query."""
    tallies = _tallies(carried)
    slowed = set(limited)
    told = {name: one for name, one in tallies.items() if one.is_bad or name in slowed}
    if not told:
        return
    # In one order, so that two workers never wait for each other.
    rows = Destination.objects.select_for_update().filter(domain__in=told).order_by("domain")
    before = {row.domain: row for row in rows}
    for name in sorted(told):
        _adjust(name, before.get(name), told[name], now)


def _tallies(carried: Iterable[Carried]) -> Mapping[str, Tally]:
    outcomes: dict[str, list[Outcome]] = {}
    for one in carried:
        if one.is_destinations_word:
            outcomes.setdefault(one.parcel.domain, []).extend(one.outcomes)
    return {domain: traffic.tally(told) for domain, told in outcomes.items()}


def _adjust(domain: str, row: Destination | None, tally: Tally, now: datetime) -> None:
    most = settings.DELIVERY_CONNECTIONS_PER_DESTINATION
    before = pace_of(row) if row else Pace(most)
    after = traffic.after(before, tally, most=most, now=now)
    if after is None and (row is None or not row.is_paused):
        Destination.objects.filter(domain=domain).delete()
        return
    pace = after or Pace(most)
    Destination.objects.update_or_create(
        domain=domain,
        defaults={
            "allowed": pace.allowed,
            "failure_count": pace.failure_count,
            "resting_until": pace.resting_until,
            "reply": tally.reply or (row.reply if row else ""),
            "changed_at": now,
        },
    )


def pace_of(row: Destination) -> Pace:
    return Pace(row.allowed, row.failure_count, row.resting_until)
