"""How long the contents of messages are kept: bodies, custom headers and attachments.

Who wrote to whom, and what became of it, stays. Contents go once every recipient has its end
state and the account's days are over, counted from when the message was to leave.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts.models import Account
from auditlog import actions as audit
from queensmtp import tenancy
from queensmtp.actors import Actor, Target, system_actor
from queensmtp.ids import lowest_id_at, timestamp_of
from sending.audit import Event
from sending.models import ContentRetention, Message

AT_ONCE = 1_000
# An account that keeps contents for days need not be looked at every minute.
LOOKED_AT_EVERY = timedelta(hours=1)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

DROP = """
WITH due AS (
    SELECT m.id FROM sending_message m
    WHERE m.account_id = %(account)s AND m.id >= %(since)s AND m.id < %(until)s
      AND m.content IS NOT NULL AND coalesce(m.scheduled_at, m.created_at) < %(moment)s
      AND NOT EXISTS (
          SELECT FROM sending_recipient r
          WHERE r.account_id = m.account_id AND r.message_id = m.id AND r.finished_at IS NULL
      )
    ORDER BY m.id LIMIT %(limit)s FOR UPDATE OF m SKIP LOCKED
)
UPDATE sending_message m SET content = NULL FROM due
WHERE m.account_id = %(account)s AND m.id = due.id
"""


def days_of(account_id: UUID) -> int:
    found = ContentRetention.objects.filter(pk=account_id).first()
    return (found or ContentRetention()).days_that_hold


@transaction.atomic
def keep_for(*, by: Actor, days: int) -> None:
    """Keep contents for so many days from now on; 0 is until the end state."""
    before = days_of(by.tenant_id)
    if before == days:
        return
    ContentRetention.objects.bulk_create(
        [ContentRetention(account_id=by.tenant_id, days=days)],
        update_conflicts=True,
        unique_fields=["account_id"],
        update_fields=["days"],
    )
    audit.record(
        by=by,
        event=Event.CONTENT_DAYS_CHANGED,
        target=Target("account", str(by.tenant_id)),
        changes={"days": {"before": before, "after": days}},
    )


def drop_due(*, now: datetime) -> int:
    """Drop the contents whose time is over; of how many messages (role worker)."""
    return sum(_drop(account_id, now) for account_id in _accounts(now))


def _accounts(now: datetime) -> QuerySet[Account, UUID]:
    fresh = ContentRetention.objects.filter(
        ~Q(days=0), account_id=OuterRef("pk"), looked_at__gt=now - LOOKED_AT_EVERY
    )
    return Account.objects.filter(~Exists(fresh)).values_list("pk", flat=True)


def _drop(account_id: UUID, now: datetime) -> int:
    total, count = 0, AT_ONCE
    while count == AT_ONCE:
        count = _drop_some(account_id, now)
        total += count
    return total


def _drop_some(account_id: UUID, now: datetime) -> int:
    """Of two workers that look at an account at the same moment, the second one leaves it."""
    with tenancy.tenant(account_id):
        ContentRetention.objects.get_or_create(account_id=account_id)
        locked = ContentRetention.objects.select_for_update(skip_locked=True)
        kept = locked.filter(pk=account_id).first()
        if kept is None:
            return 0
        moment = now - timedelta(days=kept.days_that_hold)
        count = _dropped(kept, moment)
        if count:
            audit.record(
                by=system_actor(account_id, "content retention"),
                event=Event.CONTENT_DROPPED,
                target=Target("account", str(account_id)),
                changes={"messages": count, "older_than": moment.isoformat()},
            )
        kept.dropped_before = max(kept.dropped_before or LONG_AGO, _oldest_kept(kept, moment))
        kept.looked_at = now
        kept.save(update_fields=["dropped_before", "looked_at"])
    return count


def _dropped(kept: ContentRetention, moment: datetime) -> int:
    params: dict[str, Any] = {
        "account": kept.account_id,
        "since": lowest_id_at(kept.dropped_before or LONG_AGO),
        "until": lowest_id_at(moment),
        "moment": moment,
        "limit": AT_ONCE,
    }
    with connection.cursor() as cursor:
        cursor.execute(DROP, params)
        return int(cursor.rowcount)


def _oldest_kept(kept: ContentRetention, moment: datetime) -> datetime:
    """No contents are left of what was accepted before this."""
    left = Message.objects.filter(
        account_id=kept.account_id,
        pk__gte=lowest_id_at(kept.dropped_before or LONG_AGO),
        pk__lt=lowest_id_at(moment),
        content__isnull=False,
    )
    oldest = left.order_by("pk").values_list("pk", flat=True).first()
    return timestamp_of(oldest) if oldest else moment
