"""Signing secrets change: made with the first endpoint, rotated with an overlap, revealed."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from auditlog import actions as audit
from queensmtp.actors import Actor, Target
from webhooks import signing, signing_secrets
from webhooks.audit import Event, target_of
from webhooks.errors import TooManySecrets
from webhooks.models import Endpoint, SigningSecret

# Leaves room for the secrets that an endpoint takes over from its account.
LIVE_SECRETS_MAX = signing.MOST_SIGNATURES // 2


@transaction.atomic
def rotate(
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
    outgoing = signing_for(account_id, endpoint, now=now)
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
        target=target_of(endpoint) if endpoint else Target("account", str(account_id)),
        changes={"overlap_ends_at": ends_at.isoformat()},
    )
    return secret


@transaction.atomic
def reveal(*, by: Actor, endpoint: Endpoint | None = None) -> str:
    """The secret that a receiver must hold now."""
    secret = _current_secret(by.tenant_id, endpoint)
    target = target_of(endpoint) if endpoint else Target("account", str(by.tenant_id))
    audit.record(by=by, event=Event.SECRET_REVEALED, target=target)
    return secret


def of_new(endpoint: Endpoint) -> str:
    """What `create_endpoint` answers with; its own entry says that it was handed out."""
    return _current_secret(endpoint.account_id, endpoint)


def ensure_for_account(account_id: UUID) -> None:
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


def signing_for(
    account_id: UUID, endpoint: Endpoint | None, *, now: datetime
) -> list[SigningSecret]:
    """Newest first: the endpoint's own where it has any, its account's otherwise."""
    live = SigningSecret.objects.live(now).filter(account_id=account_id)
    own = list(live.filter(endpoint=endpoint))
    return own or list(live.filter(endpoint=None))


def _current_secret(account_id: UUID, endpoint: Endpoint | None) -> str:
    current = next(
        row
        for row in signing_for(account_id, endpoint, now=timezone.now())
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
