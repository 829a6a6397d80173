"""Tells members when the stored audit log is not what was signed.

The log's app lies below this one and cannot call it, so its alarms are looked for.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse

from accounts import notices
from accounts.models import Notice
from accounts.roles import Right
from auditlog.models import Alarm
from queensmtp.tenancy import tenant

KIND = "audit_checkpoint.disputed"
# Longer than any pause of the worker that looks.
LOOKED_BACK = timedelta(days=7)

FINDERS = {
    "witness": "The witness that countersigns your audit log",
    "sealer": "The process that seals your audit log",
}

TEXT = """\
{finder} found that what is stored is not what was signed before: {reason}.

Somebody changed the database, or put an old copy of it back. Nothing more is signed for your \
account until the operator of the platform has looked. What you do meanwhile is recorded, and \
waits.

Keep every export, receipt and checkpoint that you have: they show what the log said. Your log: \
{page}
"""


def tell_raised(*, now: datetime) -> int:
    """Tell of each alarm once; return how many were told."""
    raised = Alarm.objects.filter(found_at__gt=now - LOOKED_BACK)
    alarms = {str(alarm.pk): alarm for alarm in raised}
    told = Notice.objects.filter(kind=KIND, once__in=alarms).values_list("once", flat=True)
    waiting = [alarms[id] for id in alarms.keys() - set(told)]
    for alarm in waiting:
        _tell(alarm)
    return len(waiting)


def _tell(alarm: Alarm) -> None:
    with tenant(alarm.account_id):
        notices.tell(
            account_id=alarm.account_id,
            to=Right.AUDIT_READ,
            kind=KIND,
            subject="Your audit log is not what was signed",
            text=TEXT.format(
                finder=FINDERS.get(alarm.found_by, alarm.found_by),
                reason=alarm.reason,
                page=f"{settings.CONSOLE_URL}{reverse('audit_list')}",
            ),
            once=str(alarm.pk),
        )
