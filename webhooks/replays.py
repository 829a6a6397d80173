"""Deliveries on request: one again, all that failed since, a test event."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from auditlog import actions as audit
from queensmtp import bell
from queensmtp.actors import Actor
from queensmtp.ids import new_id
from webhooks.actions import DELIVER_TASK, delivery_of
from webhooks.audit import Event, target_of
from webhooks.catalogue import CATALOGUE
from webhooks.errors import EndpointIsDisabled
from webhooks.models import Delivery, DeliveryQuerySet, DeliveryState, Endpoint
from webhooks.payloads import WebhookEvent

# More than this is asked for again, so that no request updates a million rows.
REPLAYED_AT_ONCE = 10_000


@transaction.atomic
def replay(*, by: Actor, endpoint: Endpoint, delivery: Delivery) -> None:
    """Send it again, the same id and bytes, by the schedule from its beginning.

    One that is on the wire is left to it.
    """
    _refuse_disabled(endpoint)
    resting = Delivery.objects.filter(
        account_id=endpoint.account_id, endpoint=endpoint, pk=delivery.pk
    ).exclude(state=DeliveryState.SENDING)
    _start_again(resting)
    audit.record(
        by=by,
        event=Event.REPLAYED,
        target=target_of(endpoint),
        changes={"event": str(delivery.event_id), "type": delivery.event_type},
    )


@transaction.atomic
def replay_failed(*, by: Actor, endpoint: Endpoint, since: datetime) -> tuple[int, bool]:
    """Send again what was given up since a time; how many, and whether there are more."""
    _refuse_disabled(endpoint)
    failed = (
        Delivery.objects.given_up()
        .filter(account_id=endpoint.account_id, endpoint=endpoint, finished_at__gte=since)
        .order_by("event_id")
        .values_list("pk", flat=True)
    )
    ids = list(failed[: REPLAYED_AT_ONCE + 1])
    chosen = Delivery.objects.given_up().filter(
        account_id=endpoint.account_id, endpoint=endpoint, pk__in=ids[:REPLAYED_AT_ONCE]
    )
    count = _start_again(chosen)
    audit.record(
        by=by,
        event=Event.REPLAYED,
        target=target_of(endpoint),
        changes={"failed_since": since.isoformat(), "count": count},
    )
    return count, len(ids) > REPLAYED_AT_ONCE


@transaction.atomic
def send_test(*, by: Actor, endpoint: Endpoint, type: str) -> Delivery:
    """The example of a type, marked as a test, to this endpoint whatever it asked for."""
    _refuse_disabled(endpoint)
    event = WebhookEvent(new_id(), type, timezone.now(), _marked(CATALOGUE[type].data))
    delivery = delivery_of(event, account_id=endpoint.account_id, endpoint=endpoint)
    delivery.save(force_insert=True)
    bell.ring(DELIVER_TASK, queue="webhooks")
    audit.record(
        by=by, event=Event.TESTED, target=target_of(endpoint), changes={"type": event.type}
    )
    return delivery


def _marked(example: Mapping[str, Any]) -> dict[str, Any]:
    return {**example, "test": True}


def _refuse_disabled(endpoint: Endpoint) -> None:
    if not endpoint.is_enabled:
        raise EndpointIsDisabled


def _start_again(deliveries: DeliveryQuerySet) -> int:
    count: int = deliveries.update(
        state=DeliveryState.PENDING,
        due_at=timezone.now(),
        finished_at=None,
        attempts_before_replay=F("attempt_count"),
    )
    if count:
        bell.ring(DELIVER_TASK, queue="webhooks")
    return count
