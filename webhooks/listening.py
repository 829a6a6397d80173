"""`queensmtp webhooks listen`: events that a developer's program fetches instead of being sent.

A listener is an endpoint without a URL and with an end: every fetch puts the end off, and one that
nobody fetches from is told nothing any more. Its deliveries are written as done, so that no worker
looks at them, and are signed when they are fetched.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from auditlog import actions as audit
from queensmtp.actors import Actor, Target
from queensmtp.ids import lowest_id_at
from webhooks import secret_actions, signing, signing_secrets
from webhooks.actions import in_order
from webhooks.audit import Event
from webhooks.errors import TooManyListeners
from webhooks.models import Delivery, Endpoint

LISTENERS_MAX = 5
LISTENS_SECONDS = 120
# Events whose transactions are still on their way must not be overtaken by the cursor. One that
# takes longer than this to commit may be skipped: an accepted race, of a tool for developers.
SETTLED_SECONDS = 1.0
FETCHED_AT_ONCE = 100


@dataclass(frozen=True)
class Fetched:
    """One event as it would have been sent: its headers and its bytes."""

    id: UUID
    type: str
    headers: dict[str, str]
    body: bytes


@transaction.atomic
def start(*, by: Actor, events: Sequence[str]) -> Endpoint:
    now = timezone.now()
    if Endpoint.objects.listening(now).filter(account_id=by.tenant_id).count() >= LISTENERS_MAX:
        raise TooManyListeners
    listener = Endpoint.objects.create(
        account_id=by.tenant_id,
        url="",
        events=in_order(events),
        listening_until=now + timedelta(seconds=LISTENS_SECONDS),
    )
    secret_actions.ensure_for_account(by.tenant_id)
    audit.record(
        by=by,
        event=Event.LISTENING_STARTED,
        target=_target(listener),
        changes={"events": listener.events},
    )
    return listener


@transaction.atomic
def end(*, by: Actor, listener: Endpoint) -> None:
    listener.listening_until = listener.removed_at = timezone.now()
    listener.save(update_fields=["listening_until", "removed_at"])
    audit.record(by=by, event=Event.LISTENING_ENDED, target=_target(listener))


def fetch(*, listener: Endpoint, after: UUID | None, now: datetime) -> list[Fetched]:
    """What came in since `after`, oldest first, signed afresh; puts the listener's end off."""
    _stay(listener, now)
    settled = lowest_id_at(now - timedelta(seconds=SETTLED_SECONDS))
    rows = Delivery.objects.filter(
        account_id=listener.account_id,
        endpoint=listener,
        pk__gt=after or listener.pk,
        pk__lt=settled,
    ).order_by("pk")[:FETCHED_AT_ONCE]
    secrets = signing_secrets.live_of_endpoints({(listener.account_id, listener.pk)}, now=now)[
        listener.pk
    ]
    return [_fetched(row, secrets) for row in rows]


def _stay(listener: Endpoint, now: datetime) -> None:
    """Half-way through is soon enough: most fetches write nothing."""
    until = listener.listening_until
    if until is not None and until - now < timedelta(seconds=LISTENS_SECONDS / 2):
        listener.listening_until = now + timedelta(seconds=LISTENS_SECONDS)
        listener.save(update_fields=["listening_until"])


def _fetched(row: Delivery, secrets: Sequence[str]) -> Fetched:
    body = bytes(row.body)
    headers = signing.sign(
        secrets=secrets, id=str(row.event_id), timestamp=int(time.time()), body=body
    )
    return Fetched(row.pk, row.event_type, {"Content-Type": "application/json", **headers}, body)


def _target(listener: Endpoint) -> Target:
    return Target("webhook_listener", str(listener.pk))
