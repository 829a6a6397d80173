"""What the database knows of destinations, read with a claim and learned from what was carried."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

from sending import strict_transport, traffic
from sending.courier import Outcome
from sending.models import Destination, MtaStsPolicy
from sending.parcels import Carried
from sending.traffic import Pace, Tally

PACES_KEPT = timedelta(days=1)


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


def pause(domain: str) -> None:
    """Send nothing to a destination, whoever asks for it, until it is resumed."""
    most = settings.DELIVERY_CONNECTIONS_PER_DESTINATION
    defaults = {"is_paused": True, "changed_at": timezone.now()}
    Destination.objects.update_or_create(
        domain=domain, defaults=defaults, create_defaults={**defaults, "allowed": most}
    )


def resume(domain: str) -> None:
    """Send to a destination again at full pace. What waited comes back within minutes."""
    Destination.objects.filter(domain=domain).delete()


def recall_policies(domains: Iterable[str]) -> None:
    """Read the MTA-STS policies of destinations to which mail is about to be carried."""
    if settings.DELIVERY_TRANSPORT == "mx":
        found = MtaStsPolicy.objects.filter(domain__in=set(domains))
        strict_transport.configured().remember({row.domain: row.policy for row in found})


def store_policies() -> None:
    """Keep the MTA-STS policies that were learned meanwhile."""
    learned = strict_transport.configured().take_learned()
    if learned:
        MtaStsPolicy.objects.bulk_create(
            [MtaStsPolicy.of(domain, policy) for domain, policy in sorted(learned.items())],
            update_conflicts=True,
            unique_fields=["domain"],
            update_fields=["policy_id", "mode", "hosts", "expires_at"],
        )


def forget(*, now: datetime) -> int:
    """Delete policies that have expired, and the paces of destinations nobody wrote to lately."""
    expired, _ = MtaStsPolicy.objects.filter(expires_at__lte=now).delete()
    stale = Destination.objects.filter(is_paused=False, changed_at__lte=now - PACES_KEPT)
    return expired + stale.delete()[0]
