"""A worker's round: claims what is due of all tenants, sends, and records what comes of it."""

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, as_completed, wait
from datetime import datetime, timedelta
from threading import Thread
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts import notices
from accounts.roles import Right
from auditlog import actions as audit
from queensmtp import tenancy
from queensmtp.actors import system_actor
from webhooks import deliveries, outbox, signing_secrets
from webhooks.audit import Event, target_of
from webhooks.deliveries import Flight
from webhooks.models import DisabledReason, Endpoint, EndpointStatus
from webhooks.outbox import Report
from webhooks.windows import QUICK_SECONDS, Windows

CLAIM_EVERY_SECONDS = 0.2
# A round ends by itself, so that a worker that is told to stop does.
ROUND_SECONDS = 30.0
# What waits for a slow receiver holds no place among the quick ones, but there is an end to it.
MOST_IN_FLIGHT = 1_000


def deliver_due(*, limit: int = 200, now: datetime | None = None) -> int:
    """Make due deliveries of all tenants, some `limit` at once; how many attempts were made.

    Outcomes are recorded as they come in and their places filled again, so that a receiver that
    does not answer delays only itself. `now` stands still when given.
    """
    in_flight: list[Flight] = []
    windows = Windows()
    made = 0
    round_ends = time.monotonic() + ROUND_SECONDS
    while True:
        if time.monotonic() >= round_ends:
            _land_aside(in_flight)
            return made
        room = _room(in_flight, limit)
        if room:
            in_flight += _start_due(room, windows, now=now or timezone.now())
        if not in_flight:
            return made
        futures = [flight.future for flight in in_flight]
        done, _ = wait(futures, timeout=CLAIM_EVERY_SECONDS, return_when=FIRST_COMPLETED)
        landed = [flight for flight in in_flight if flight.future in done]
        in_flight = [flight for flight in in_flight if flight.future not in done]
        _record(landed, windows, now=now)
        made += len(landed)


def _land_aside(in_flight: Sequence[Flight]) -> None:
    """Record what is still on the wire when a round ends, while the next one begins.

    The thread is no daemon: a worker that is told to stop waits for its outcomes, at most for the
    time-out of a delivery.
    """
    if in_flight:
        Thread(target=_land, args=[list(in_flight)], name="webhooks-landing").start()


def _land(in_flight: Sequence[Flight]) -> None:
    windows = Windows()
    for flight in in_flight:
        windows.started(flight.claimed.endpoint_id)
    try:
        for done in as_completed([flight.future for flight in in_flight]):
            landed = [flight for flight in in_flight if flight.future is done]
            _record(landed, windows, now=None)
    finally:
        connection.close()


def _room(in_flight: Sequence[Flight], limit: int) -> int:
    quick = sum(flight.elapsed_seconds <= QUICK_SECONDS for flight in in_flight)
    return max(min(limit - quick, MOST_IN_FLIGHT - len(in_flight)), 0)


def _start_due(limit: int, windows: Windows, *, now: datetime) -> list[Flight]:
    claimed = outbox.claim(limit=limit, now=now, windows=windows)
    if not claimed:
        return []
    secrets = signing_secrets.live_of_endpoints(
        {(one.account_id, one.endpoint_id) for one in claimed}, now=timezone.now()
    )
    for one in claimed:
        windows.started(one.endpoint_id)
    return [deliveries.start(one, secrets=secrets[one.endpoint_id]) for one in claimed]


def _record(landed: Sequence[Flight], windows: Windows, *, now: datetime | None) -> None:
    if not landed:
        return
    reports = [deliveries.finish(flight, now=now or timezone.now()) for flight in landed]
    outbox.record(reports, now=now or timezone.now())
    for flight, report in zip(landed, reports, strict=True):
        windows.landed(
            flight.claimed.endpoint_id,
            is_success=report.is_success,
            seconds=flight.elapsed_seconds,
        )
    _disable_gone(reports)
    _disable_failing(reports, now=now or timezone.now())


def _disable_gone(reports: Sequence[Report]) -> None:
    """410 Gone: the receiver asks for no more."""
    gone = {report.claimed.endpoint_id: report.claimed for report in reports if report.is_gone}
    for claimed in gone.values():
        why = "the receiver answered 410 Gone"
        _disable(claimed.account_id, claimed.endpoint_id, reason=DisabledReason.GONE, why=why)


def _disable_failing(reports: Sequence[Report], *, now: datetime) -> None:
    """What has failed for days on end is left alone until somebody has looked at it."""
    failed = {report.claimed.endpoint_id for report in reports if not report.is_success}
    if not failed:
        return
    patience = timedelta(seconds=settings.WEBHOOK_DISABLE_AFTER_SECONDS)
    overdue = Endpoint.objects.enabled().filter(pk__in=failed, failing_since__lte=now - patience)
    for id, account_id, since in overdue.values_list("pk", "account_id", "failing_since"):
        why = f"every delivery has failed since {since:%Y-%m-%d %H:%M} UTC"
        _disable(account_id, id, reason=DisabledReason.FAILING, why=why)


def _disable(account_id: UUID, endpoint_id: UUID, *, reason: DisabledReason, why: str) -> None:
    """Doing it twice changes nothing more."""
    with tenancy.tenant(account_id):
        standing = Endpoint.objects.enabled().filter(pk=endpoint_id, account_id=account_id)
        if not standing.update(status=EndpointStatus.DISABLED, disabled_reason=reason):
            return
        endpoint = Endpoint.objects.get(pk=endpoint_id)
        given_up = outbox.cancel(endpoint, now=timezone.now())
        audit.record(
            by=system_actor(account_id, "webhooks"),
            event=Event.DISABLED,
            target=target_of(endpoint),
            changes={"reason": why},
        )
        notices.tell(
            account_id=account_id,
            to=Right.WEBHOOKS_WRITE,
            kind="webhook.disabled",
            subject="A webhook endpoint was disabled",
            text=_notice(endpoint, why=why, given_up=given_up),
        )


def _notice(endpoint: Endpoint, *, why: str, given_up: int) -> str:
    return (
        f"We stopped sending webhooks to {endpoint.shown_url}: {why}.\n\n"
        f"Given up with it: {given_up} waiting deliveries. When the receiver works again, enable "
        "the endpoint and resend what failed:\n"
        f"{settings.CONSOLE_URL}/console/webhooks/{endpoint.pk}\n"
    )
