"""Events come in, and endpoints are made, changed and removed."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from auditlog import actions as audit
from queensmtp import bell
from queensmtp.actors import Actor
from queensmtp.errors import refuse_field
from queensmtp.ids import new_id
from webhooks import endpoint_urls, outbox, secret_actions
from webhooks.audit import Event, target_of
from webhooks.errors import TooManyEndpoints
from webhooks.models import Delivery, DeliveryState, DisabledReason, Endpoint, EndpointStatus
from webhooks.payloads import EVENT_TYPES, WebhookEvent, body_of

__all__ = ["WebhookEvent"]

DELIVER_TASK = "webhooks.tasks.deliver_due"
ENDPOINTS_MAX = 50


# --- Events in ---------------------------------------------------------------------------------


def enqueue(*, account_id: UUID, events: Iterable[WebhookEvent]) -> None:
    """Write deliveries for every enabled endpoint that asked, in the caller's transaction.

    The events are not looked at where there is no endpoint.
    """
    told = Endpoint.objects.told(timezone.now()).filter(account_id=account_id)
    endpoints = list(told.only("id", "events", "listening_until"))
    if not endpoints:
        return
    rows = [
        delivery_of(event, account_id=account_id, endpoint=endpoint)
        for event in events
        for endpoint in endpoints
        if event.type in endpoint.events
    ]
    if rows:
        Delivery.objects.bulk_create(rows)
        bell.ring(DELIVER_TASK, queue="webhooks")


def delivery_of(event: WebhookEvent, *, account_id: UUID, endpoint: Endpoint) -> Delivery:
    """A row, not yet saved. A listener fetches its events, so that nothing is left to be sent."""
    now = timezone.now()
    is_fetched = endpoint.listening_until is not None
    return Delivery(
        account_id=account_id,
        endpoint_id=endpoint.pk,
        event_id=event.id,
        event_type=event.type,
        body=body_of(event),
        due_at=now,
        state=DeliveryState.DELIVERED if is_fetched else DeliveryState.PENDING,
        finished_at=now if is_fetched else None,
    )


# --- Endpoints ---------------------------------------------------------------------------------


@transaction.atomic
def create_endpoint(
    *, by: Actor, url: str, events: Sequence[str], is_ordered: bool = False
) -> Endpoint:
    """An enabled endpoint, signed for with the account's secret, which the first one makes."""
    account_id = by.tenant_id
    shown, credentials = endpoint_urls.split(url)
    if credentials == endpoint_urls.MASK:
        raise refuse_field("endpoint", "invalid_url", "write the credentials out.")
    if Endpoint.objects.standing().filter(account_id=account_id).count() >= ENDPOINTS_MAX:
        raise TooManyEndpoints
    id = new_id()
    endpoint = Endpoint.objects.create(
        id=id,
        account_id=account_id,
        url=shown,
        credentials=endpoint_urls.sealed(credentials, account_id=account_id, endpoint_id=id),
        events=in_order(events),
        is_ordered=is_ordered,
    )
    secret_actions.ensure_for_account(account_id)
    audit.record(
        by=by,
        event=Event.CREATED,
        target=target_of(endpoint),
        changes={
            "endpoint": endpoint.shown_url,
            "events": endpoint.events,
            "ordered": endpoint.is_ordered,
        },
    )
    return endpoint


@transaction.atomic
def update_endpoint(
    *,
    by: Actor,
    endpoint: Endpoint,
    url: str | None = None,
    events: Sequence[str] | None = None,
    status: str | None = None,
    is_ordered: bool | None = None,
) -> Endpoint:
    """Change what is given. Disabling gives up what still waits; enabling starts afresh."""
    found = Endpoint.objects.standing().select_for_update().get(pk=endpoint.pk)
    before = _settings_of(found)
    if url is not None:
        _move(found, url)
    if events is not None:
        found.events = in_order(events)
    if is_ordered is not None:
        found.is_ordered = is_ordered
    if status is not None:
        _set_status(found, status)
    found.save()
    after = _settings_of(found)
    changes = {
        name: {"before": before[name], "after": after[name]}
        for name in after
        if before[name] != after[name]
    }
    audit.record(by=by, event=Event.UPDATED, target=target_of(found), changes=changes)
    return found


@transaction.atomic
def remove_endpoint(*, by: Actor, endpoint: Endpoint) -> None:
    """No delivery follows. The row stays for its deliveries' sake, without its secrets."""
    found = Endpoint.objects.standing().select_for_update().get(pk=endpoint.pk)
    found.removed_at = timezone.now()
    found.credentials = None
    found.save(update_fields=["removed_at", "credentials"])
    found.secrets.all().delete()
    outbox.cancel(found, now=found.removed_at)
    audit.record(by=by, event=Event.REMOVED, target=target_of(found))


# --- The parts of the above --------------------------------------------------------------------


def _settings_of(endpoint: Endpoint) -> dict[str, object]:
    return {
        "endpoint": endpoint.shown_url,
        "events": endpoint.events,
        "status": endpoint.status,
        "ordered": endpoint.is_ordered,
    }


def in_order(events: Iterable[str]) -> list[str]:
    """Each type once, in the order of the catalogue."""
    wanted = set(events)
    return [type for type in EVENT_TYPES if type in wanted]


def _move(endpoint: Endpoint, url: str) -> None:
    shown, credentials = endpoint_urls.split(url)
    if credentials == endpoint_urls.MASK:
        if endpoint.credentials is None or not endpoint_urls.same_origin(shown, endpoint.url):
            raise refuse_field("endpoint", "invalid_url", "write the credentials out.")
    else:
        endpoint.credentials = endpoint_urls.sealed(
            credentials, account_id=endpoint.account_id, endpoint_id=endpoint.pk
        )
    endpoint.url = shown
    endpoint.failing_since = endpoint.resting_until = None


def _set_status(endpoint: Endpoint, status: str) -> None:
    if status == endpoint.status:
        return
    endpoint.status = status
    if status == EndpointStatus.ENABLED:
        endpoint.disabled_reason = DisabledReason.NONE
        endpoint.failing_since = endpoint.resting_until = None
    else:
        endpoint.disabled_reason = DisabledReason.REQUESTED
        outbox.cancel(endpoint, now=timezone.now())
