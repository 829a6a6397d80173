"""Delivers what is due. Outcomes are events, not audit entries (`design.md` 3.6)."""

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from functools import cache
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from sending import outcomes, parcels, queue
from sending.backoff import Schedule
from sending.courier import DELIVERY_SECONDS
from sending.models import DeliveryEvent, IdempotentRequest, Message
from sending.parcels import Carried, Headers, Parcel
from webhooks import actions as webhooks
from webhooks.payloads import WebhookEvent

CLAIMED_AT_ONCE = 200
LONGEST_DELIVERY_SECONDS = DELIVERY_SECONDS + 5

logger = logging.getLogger(__name__)


def deliver_due(*, limit: int = CLAIMED_AT_ONCE) -> int:
    """Claim and deliver until nothing is due; how many recipients were tried."""
    put_lost_in_doubt(now=timezone.now())
    tried, lease_seconds = 0, settings.DELIVERY_LEASE_SECONDS
    while claimed := queue.claim(limit=limit, lease_seconds=lease_seconds, now=timezone.now()):
        begin_by = time.monotonic() + lease_seconds - LONGEST_DELIVERY_SECONDS
        _carry_all(parcels.pack(claimed, begin_by=begin_by))
        tried += len(claimed)
    return tried


@transaction.atomic
def put_lost_in_doubt(*, now: datetime, limit: int = 1_000) -> int:
    """Leases that ran out: nobody knows whether those messages arrived."""
    lost = queue.expire(limit=limit, now=now)
    events = [outcomes.lost_event(one, now=now) for one in lost]
    messages = Message.objects.in_bulk({one.message_id for one in lost})
    headers = {one.pk: parcels.headers_of(one) for one in messages.values()}
    _tell_events(events, outcomes.addresses_of(lost), messages, headers)
    return len(lost)


def forget_idempotency(*, now: datetime) -> int:
    """Delete the answers whose time is over."""
    deleted, _ = IdempotentRequest.objects.filter(expires_at__lte=now).delete()
    return deleted


def _carry_all(waiting: Sequence[Parcel]) -> None:
    """Carry parcels in threads; record each as soon as it is done, with whatever else is."""
    running: set[Future[Carried]] = {_carriers().submit(parcels.carry, one) for one in waiting}
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        carried = [future.result() for future in done]
        _record([one for one in carried if one.was_begun])
        queue.release(
            [claim for one in carried if not one.was_begun for claim in one.parcel.claimed]
        )


@transaction.atomic
def _record(carried: Sequence[Carried]) -> None:
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
    _tell_events([one.event for one in taken], addresses, messages, headers)


def _tell_events(
    events: Sequence[DeliveryEvent],
    addresses: Mapping[UUID, str],
    messages: Mapping[UUID, Message],
    headers: Mapping[UUID, Headers],
) -> None:
    """Store events and put their webhooks into the outbox, in the outcome's transaction."""
    if not events:
        return
    DeliveryEvent.objects.bulk_create(events)
    by_account: dict[UUID, list[WebhookEvent]] = defaultdict(list)
    for event in events:
        message = messages[event.message_id]
        by_account[event.account_id].append(
            outcomes.webhook_event(
                event, message, addresses[event.recipient_id], headers=headers[message.pk]
            )
        )
    for account_id, told in by_account.items():
        webhooks.enqueue(account_id=account_id, events=told)


def _warn_of_lost_leases(count: int) -> None:
    if count:
        logger.warning("outcomes_came_too_late", extra={"count": count})


@cache
def _carriers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(settings.DELIVERY_CONNECTIONS, thread_name_prefix="carrier")
