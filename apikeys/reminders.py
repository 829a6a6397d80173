"""Reminds the admins that a key will expire, so that it is rotated before and not after.

A secret is never minted unseen: a schedule sets a deadline and reminds; who receives the token
rotates.
"""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from apikeys import alarms
from apikeys.announcements import announce
from apikeys.audit import Event
from apikeys.models import ApiKey
from auditlog import actions as audit
from queensmtp import tenancy
from queensmtp.actors import Target, system_actor

KIND = "api_key.expiring"
REMINDED_DAYS_BEFORE = (14, 7, 1)
# Workers may read no more of a key than this.
KNOWN = (
    *("id", "account_id", "name", "prefix", "last4", "created_at"),
    *("expires_at", "rotate_every_seconds"),
)

TEXT = """\
The API key {name} ({masked}) stops working at {expires_at:%Y-%m-%d %H:%M} UTC.

{why} Rotate it in the console or by POST /v1/keys/{id}/rotate: the successor has the same rights, \
and both work during the overlap that you choose. A key that was never rotated is simply refused \
from that moment on.
"""
BY_SCHEDULE = "Its rotation schedule says so: every {days:g} days."
BY_EXPIRY = "That is the expiry that it was given."


def remind_due(now: datetime | None = None) -> int:
    """Tell of every key that came within reach of its end; return how many were told of."""
    now = now or timezone.now()
    return sum(_remind(key, now) for key in _ending(now))


def _ending(now: datetime) -> list[ApiKey]:
    horizon = now + timedelta(days=REMINDED_DAYS_BEFORE[0])
    ending = ApiKey.objects.live(now).filter(
        expires_at__lte=horizon, overlap_ends_at=None, is_decoy=False
    )
    return list(ending.only(*KNOWN).order_by("expires_at"))


def days_to_tell(key: ApiKey, now: datetime) -> int | None:
    """The nearest of the reminders whose time has come in the life of this key."""
    assert key.expires_at is not None
    reached = [
        days
        for days in REMINDED_DAYS_BEFORE
        if key.created_at <= key.expires_at - timedelta(days=days) <= now
    ]
    return min(reached, default=None)


@transaction.atomic
def _remind(key: ApiKey, now: datetime) -> bool:
    days = days_to_tell(key, now)
    if days is None:
        return False
    assert key.expires_at is not None
    about = f"{key.pk} {key.expires_at.isoformat()} {days}"
    with tenancy.tenant(key.account_id):
        is_first = alarms.is_first(account_id=key.account_id, kind=KIND, about=about)
        if is_first:
            _tell(key, days)
    return is_first


def _tell(key: ApiKey, days: int) -> None:
    assert key.expires_at is not None
    audit.record(
        by=system_actor(key.account_id, "reminders"),
        event=Event.EXPIRY_ANNOUNCED,
        target=Target("api_key", str(key.pk), key.name),
        changes={"expires_at": key.expires_at.isoformat(), "days": days},
    )
    announce(
        key,
        KIND,
        expires_at=key.expires_at.isoformat(),
        rotate_every_seconds=key.rotate_every_seconds,
    )
    alarms.tell_admins(
        account_id=key.account_id,
        kind=KIND,
        subject=f"API key {key.name} expires on {key.expires_at:%Y-%m-%d}",
        text=TEXT.format(
            name=key.name,
            masked=key.masked,
            id=key.pk,
            expires_at=key.expires_at,
            why=_why(key),
        ),
    )


def _why(key: ApiKey) -> str:
    if key.rotate_every_seconds is None:
        return BY_EXPIRY
    return BY_SCHEDULE.format(days=round(key.rotate_every_seconds / 86_400, 1))
