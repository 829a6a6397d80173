"""Tells the people of an account that a quota is nearly used up, and that it is.

The counters themselves say of whom nobody was told yet, so a mark that is passed is told once,
whatever breaks in between.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from accounts import notices
from accounts.roles import Right
from apikeys.models import ApiKey
from auditlog import actions as audit
from queensmtp import tenancy
from queensmtp.actors import Target, system_actor
from queensmtp.ids import new_id
from sending.audit import Event
from sending.models import QuotaCounter
from sending.periods import Period
from webhooks import actions as webhooks
from webhooks.payloads import WebhookEvent

KIND = "quota.reached"
KEPT_DAYS = 93

# A limit that was raised makes the counter ready to tell again.
CALM = """
UPDATE sending_quotacounter SET told_percent = 0
WHERE starts_on >= %(month)s AND told_percent > 0 AND used * 100 < allowed * 80
"""
# One at a time: each is told of in a transaction and a tenant of its own.
TAKE = """
UPDATE sending_quotacounter q SET told_percent = CASE WHEN q.used >= q.allowed THEN 100 ELSE 80 END
FROM (
    SELECT account_id, counter_id, period, starts_on FROM sending_quotacounter
    WHERE (period = 'month' AND starts_on = %(month)s OR period = 'day' AND starts_on = %(today)s)
      AND (told_percent < 80 AND used * 100 >= allowed * 80
           OR told_percent < 100 AND used >= allowed)
    LIMIT 1 FOR UPDATE SKIP LOCKED
) AS one
WHERE (q.account_id, q.counter_id, q.period, q.starts_on)
    = (one.account_id, one.counter_id, one.period, one.starts_on)
RETURNING q.account_id, q.counter_id, q.period, q.starts_on, q.allowed, q.used, q.told_percent
"""

TEXT = """\
{What} is {allowed:,} recipients. {used:,} of them are used, {percent} %.

{then} It starts anew at {resets_at:%Y-%m-%d %H:%M} UTC. {mend}
"""
NEARLY = "When it is used up, further mail is refused and not queued."
USED_UP = "Further mail is refused and not queued until then."
OF_KEY = "An owner or admin can raise it on the key's page: its id is {id}."
OF_ACCOUNT = "Whoever runs this platform can give the account a larger plan."


def warn_due(now: datetime | None = None) -> int:
    """Tell of every mark that was passed; how many there were (role worker)."""
    today = (now or timezone.now()).astimezone(UTC).date()
    params = {"today": today, "month": Period.MONTH.start(today)}
    with connection.cursor() as cursor:
        cursor.execute(CALM, params)
    told = 0
    while _warn_next(params):
        told += 1
    return told


def forget(now: datetime) -> int:
    """Drop the counters of long ago."""
    oldest = (now - timedelta(days=KEPT_DAYS)).date()
    return QuotaCounter.objects.filter(starts_on__lt=oldest).delete()[0]


@transaction.atomic
def _warn_next(params: dict[str, Any]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(TAKE, params)
        row = cursor.fetchone()
    if row is None:
        return False
    names = ("account_id", "counter_id", "period", "starts_on", "allowed", "used", "told_percent")
    counter = QuotaCounter(**dict(zip(names, row, strict=True)))
    with tenancy.tenant(counter.account_id):
        _tell(counter)
    return True


def _tell(counter: QuotaCounter) -> None:
    key = None
    if counter.counter_id != counter.account_id:
        key = ApiKey.objects.only("id", "account_id", "name").get(pk=counter.counter_id)
    facts = {
        "period": counter.period,
        "allowed": counter.allowed,
        "used": counter.used,
        "percent": counter.told_percent,
        "resets_at": counter.resets_at.isoformat(),
    }
    audit.record(
        by=system_actor(counter.account_id, "quotas"),
        event=Event.QUOTA_REACHED,
        target=Target("api_key", str(key.pk), key.name)
        if key
        else Target("account", str(counter.account_id)),
        changes=facts,
    )
    of_key = {"id": str(key.pk), "name": key.name} if key else None
    told = WebhookEvent(new_id(), KIND, timezone.now(), {**facts, "key": of_key})
    webhooks.enqueue(account_id=counter.account_id, events=[told])
    _mail(counter, key)


def _mail(counter: QuotaCounter, key: ApiKey | None) -> None:
    is_used_up = counter.told_percent == 100
    whose = f"the API key {key.name}" if key else "your account"
    what = f"The {Period(counter.period).adverb} quota of {whose}"
    notices.tell(
        account_id=counter.account_id,
        to=Right.ACCOUNT_WRITE,
        kind=KIND,
        subject=f"{what} is {'used up' if is_used_up else 'nearly used up'}",
        text=TEXT.format(
            What=what,
            allowed=counter.allowed,
            used=counter.used,
            percent=counter.used * 100 // counter.allowed,
            then=USED_UP if is_used_up else NEARLY,
            resets_at=counter.resets_at,
            mend=OF_KEY.format(id=key.pk) if key else OF_ACCOUNT,
        ),
    )
