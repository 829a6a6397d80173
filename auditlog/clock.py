"""The clock: trusted before anything goes for ever, when it made sense often enough in a row."""

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from auditlog.models import RetentionClock

# The clock is looked at each hour. Sooner is no second look, and later may be a jump.
SOONEST, LATEST = timedelta(minutes=50), timedelta(hours=3)

logger = logging.getLogger(__name__)


@transaction.atomic
def confirm(*, now: datetime) -> bool:
    """Look at the clock; return whether it went as clocks go for long enough to trust it.

    A jump, forward or back, and an outage that looks like one, begin the count anew.
    """
    clock, is_new = RetentionClock.objects.select_for_update().get_or_create(
        id=1, defaults={"last_seen_at": now}
    )
    passed = now - clock.last_seen_at
    if is_new or timedelta() <= passed < SOONEST:
        return False
    if SOONEST <= passed <= LATEST:
        clock.confirmations += 1
    else:
        clock.confirmations = 0
        logger.warning("audit_retention_clock_jumped", extra={"seconds": passed.total_seconds()})
    clock.last_seen_at = now
    clock.save(update_fields=["last_seen_at", "confirmations"])
    return clock.confirmations >= settings.AUDIT_PRUNE_CONFIRMATIONS


def is_trusted() -> bool:
    """Whether the last look found it right often enough."""
    enough = settings.AUDIT_PRUNE_CONFIRMATIONS
    return RetentionClock.objects.filter(confirmations__gte=enough).exists()
