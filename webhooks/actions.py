"""Everything that changes webhooks: their settings, their secrets, and deliveries."""

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, wait
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from auditlog import actions as audit
from queensmtp import bell, tenancy
from queensmtp.actors import Actor, Target, system_actor
from queensmtp.errors import refuse_field
from queensmtp.ids import new_id
from webhooks import deliveries, endpoint_urls, outbox, signing, signing_secrets
from webhooks.audit import Event
from webhooks.deliveries import Flight
from webhooks.errors import TooManyEndpoints, TooManySecrets
from webhooks.models import Delivery, DisabledReason, Endpoint, EndpointStatus, SigningSecret
from webhooks.outbox import Claimed, Report
from webhooks.payloads import EVENT_TYPES, WebhookEvent, body_of

__all__ = ["WebhookEvent"]

ENDPOINTS_MAX = 50
# Leaves room for the secrets that an endpoint takes over from its account.
LIVE_SECRETS_MAX = signing.MOST_SIGNATURES // 2
CLAIM_EVERY_SECONDS = 0.2
# A round ends by itself, so that a worker that is told to stop does.
ROUND_SECONDS = 30.0


# --- Events in ---------------------------------------------------------------------------------


def enqueue(*, account_id: UUID, events: Sequence[WebhookEvent]) -> None:
    """Write deliveries for every enabled endpoint that asked, in the caller's transaction."""
    endpoints = list(Endpoint.objects.enabled().filter(account_id=account_id).only("id", "events"))
    now = timezone.now()
    rows = [
        Delivery(
            account_id=account_id,
            endpoint_id=endpoint.id,
            event_id=event.id,
            event_type=event.type,
            body=body_of(event),
            due_at=now,
        )
        for event in events
        for endpoint in endpoints
        if event.type in endpoint.events
    ]
    if rows:
        Delivery.objects.bulk_create(rows)
        bell.ring("webhooks.tasks.deliver_due", queue="webhooks")


# --- Endpoints ---------------------------------------------------------------------------------


@transaction.atomic
def create_endpoint(*, by: Actor, url: str, events: Sequence[str]) -> Endpoint:
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
        events=_in_order(events),
    )
    _ensure_account_secret(account_id)
    audit.record(
        by=by,
        event=Event.CREATED,
        target=_target(endpoint),
        changes={"endpoint": endpoint.shown_url, "events": endpoint.events},
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
) -> Endpoint:
    """Change what is given. Disabling gives up what still waits; enabling starts afresh."""
    found = Endpoint.objects.standing().select_for_update().get(pk=endpoint.pk)
    before = _settings_of(found)
    if url is not None:
        _move(found, url)
    if events is not None:
        found.events = _in_order(events)
    if status is not None:
        _set_status(found, status)
    found.save()
    after = _settings_of(found)
    changes = {
        name: {"before": before[name], "after": after[name]}
        for name in after
        if before[name] != after[name]
    }
    audit.record(by=by, event=Event.UPDATED, target=_target(found), changes=changes)
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
    audit.record(by=by, event=Event.REMOVED, target=_target(found))


# --- Secrets -----------------------------------------------------------------------------------


@transaction.atomic
def rotate_secret(
    *, by: Actor, endpoint: Endpoint | None = None, overlap_seconds: int | None = None
) -> str:
    """A new secret for an endpoint or, without one, for the account; both sign for the overlap.

    The first rotation of an endpoint gives it a secret of its own; its account's go on signing
    for it until the overlap ends.
    """
    account_id = by.tenant_id
    if overlap_seconds is None:
        overlap_seconds = settings.WEBHOOK_SECRET_OVERLAP_SECONDS
    now = timezone.now()
    ends_at = now + timedelta(seconds=overlap_seconds)
    _lock_secrets(account_id)
    SigningSecret.objects.filter(account_id=account_id, expires_at__lte=now).delete()
    outgoing = _signing_for(account_id, endpoint, now=now)
    if len(outgoing) >= LIVE_SECRETS_MAX:
        raise TooManySecrets
    _let_run_out(endpoint, outgoing, ends_at=ends_at)
    secret = signing.new_secret()
    signing_secrets.sealed(
        account_id=account_id, endpoint_id=endpoint.pk if endpoint else None, secret=secret
    ).save(force_insert=True)
    audit.record(
        by=by,
        event=Event.SECRET_ROTATED,
        target=_target(endpoint) if endpoint else Target("account", str(account_id)),
        changes={"overlap_ends_at": ends_at.isoformat()},
    )
    return secret


@transaction.atomic
def reveal_secret(*, by: Actor, endpoint: Endpoint | None = None) -> str:
    """The secret that a receiver must hold now."""
    secret = _current_secret(by.tenant_id, endpoint)
    target = _target(endpoint) if endpoint else Target("account", str(by.tenant_id))
    audit.record(by=by, event=Event.SECRET_REVEALED, target=target)
    return secret


def secret_of_new(endpoint: Endpoint) -> str:
    """What `create_endpoint` answers with; its own entry says that it was handed out."""
    return _current_secret(endpoint.account_id, endpoint)


# --- Deliveries out ----------------------------------------------------------------------------


def deliver_due(*, limit: int = 200, now: datetime | None = None) -> int:
    """Make due deliveries of all tenants, at most `limit` at once; how many attempts were made.

    Outcomes are recorded as they come in and their places filled again, so that a receiver that
    does not answer delays only itself. `now` stands still when given.
    """
    in_flight: list[Flight] = []
    made = 0
    round_ends = time.monotonic() + ROUND_SECONDS
    while True:
        if len(in_flight) < limit and time.monotonic() < round_ends:
            in_flight += _start_due(limit - len(in_flight), in_flight, now=now or timezone.now())
        if not in_flight:
            return made
        futures = [flight.future for flight in in_flight]
        done, _ = wait(futures, timeout=CLAIM_EVERY_SECONDS, return_when=FIRST_COMPLETED)
        landed = [flight for flight in in_flight if flight.future in done]
        in_flight = [flight for flight in in_flight if flight.future not in done]
        _record([deliveries.finish(flight, now=now or timezone.now()) for flight in landed])
        made += len(landed)


def _start_due(limit: int, in_flight: Sequence[Flight], *, now: datetime) -> list[Flight]:
    busy = {flight.claimed.endpoint_id for flight in in_flight}
    claimed = outbox.claim(limit=limit, now=now, excluded=busy)
    secrets = signing_secrets.live_of_endpoints(
        {(one.account_id, one.endpoint_id) for one in claimed}, now=timezone.now()
    )
    return [deliveries.start(one, secrets=secrets[one.endpoint_id]) for one in claimed]


def _record(reports: Sequence[Report]) -> None:
    if not reports:
        return
    outbox.record(reports, now=timezone.now())
    gone = {report.claimed.endpoint_id: report.claimed for report in reports if report.is_gone}
    for claimed in gone.values():
        _disable_gone(claimed)


def _disable_gone(claimed: Claimed) -> None:
    """410 Gone: the receiver asks for no more. Doing it twice changes nothing more."""
    with tenancy.tenant(claimed.account_id):
        standing = Endpoint.objects.enabled().filter(
            pk=claimed.endpoint_id, account_id=claimed.account_id
        )
        if not standing.update(status=EndpointStatus.DISABLED, disabled_reason=DisabledReason.GONE):
            return
        endpoint = Endpoint.objects.get(pk=claimed.endpoint_id)
        outbox.cancel(endpoint, now=timezone.now())
        audit.record(
            by=system_actor(claimed.account_id, "webhooks"),
            event=Event.DISABLED,
            target=_target(endpoint),
            changes={"reason": "the receiver answered 410 Gone"},
        )


# --- The parts of the above --------------------------------------------------------------------


def _target(endpoint: Endpoint) -> Target:
    return Target("webhook", str(endpoint.pk), endpoint.shown_url)


def _settings_of(endpoint: Endpoint) -> dict[str, object]:
    return {
        "endpoint": endpoint.shown_url,
        "events": endpoint.events,
        "status": endpoint.status,
    }


def _in_order(events: Iterable[str]) -> list[str]:
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


def _ensure_account_secret(account_id: UUID) -> None:
    if SigningSecret.objects.current().filter(account_id=account_id, endpoint=None).exists():
        return
    row = signing_secrets.sealed(
        account_id=account_id, endpoint_id=None, secret=signing.new_secret()
    )
    # Two first endpoints at once: the unique index lets one secret in, and both use it.
    SigningSecret.objects.bulk_create([row], ignore_conflicts=True)


def _lock_secrets(account_id: UUID) -> None:
    """One rotation of an account at a time."""
    locked = SigningSecret.objects.select_for_update().filter(account_id=account_id, endpoint=None)
    list(locked.values_list("pk"))


def _signing_for(
    account_id: UUID, endpoint: Endpoint | None, *, now: datetime
) -> list[SigningSecret]:
    """Newest first: the endpoint's own where it has any, its account's otherwise."""
    live = SigningSecret.objects.live(now).filter(account_id=account_id)
    own = list(live.filter(endpoint=endpoint))
    return own or list(live.filter(endpoint=None))


def _current_secret(account_id: UUID, endpoint: Endpoint | None) -> str:
    current = next(
        row
        for row in _signing_for(account_id, endpoint, now=timezone.now())
        if row.expires_at is None
    )
    return signing_secrets.opened(current)


def _let_run_out(
    endpoint: Endpoint | None, outgoing: Sequence[SigningSecret], *, ends_at: datetime
) -> None:
    # Oldest first, so that copies keep the order of their originals.
    for row in reversed(outgoing):
        expires_at = min(row.expires_at or ends_at, ends_at)
        if row.endpoint_id == (endpoint.pk if endpoint else None):
            row.expires_at = expires_at
            row.save(update_fields=["expires_at"])
        else:
            signing_secrets.sealed(
                account_id=row.account_id,
                endpoint_id=endpoint.pk if endpoint else None,
                secret=signing_secrets.opened(row),
                expires_at=expires_at,
            ).save(force_insert=True)
