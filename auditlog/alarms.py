"""Whether an account's log goes on being signed, and if not, why."""

from datetime import timedelta
from uuid import UUID

from django.utils import timezone

from auditlog.models import Alarm, Dispute, Pending
from queensmtp.ids import timestamp_of

# The sealer takes two seconds.
LONGEST_WAIT = timedelta(minutes=1)


def find_standing(account_id: UUID) -> str | None:
    """Return why nothing more is signed; None while the log is sealed as it should."""
    dispute = Dispute.objects.filter(account_id=account_id).first()
    if dispute is not None:
        return dispute.reason
    alarm = Alarm.objects.filter(account_id=account_id).order_by("-found_at").first()
    return alarm.reason if alarm is not None and _waits_too_long(account_id) else None


def _waits_too_long(account_id: UUID) -> bool:
    oldest = Pending.objects.filter(account_id=account_id).order_by("entry_id").first()
    return oldest is not None and timestamp_of(oldest.entry_id) < timezone.now() - LONGEST_WAIT
