"""When a domain is looked at again: soon while somebody waits, ever slower with age. Pure."""

import random
from datetime import datetime, timedelta

from domains.standing import FAILED, PARTIALLY_FAILED, VERIFIED

_FOR_EVER = timedelta.max
# Up to this age → this pause.
Ladder = tuple[tuple[timedelta, timedelta], ...]

AWAITED: Ladder = (
    (timedelta(minutes=15), timedelta(seconds=30)),
    (timedelta(hours=1), timedelta(minutes=5)),
    (timedelta(days=1), timedelta(minutes=30)),
    (timedelta(days=3), timedelta(hours=2)),
    (_FOR_EVER, timedelta(days=1)),
)
STANDING: Ladder = (
    (timedelta(days=1), timedelta(hours=1)),
    (timedelta(days=7), timedelta(hours=6)),
    (_FOR_EVER, timedelta(days=1)),
)
GONE: Ladder = (
    (timedelta(days=14), timedelta(days=1)),
    (_FOR_EVER, timedelta(days=7)),
)
VANISHED_PAUSE = timedelta(hours=1)


def next_check(
    *, status: str, now: datetime, awaited_since: datetime, changed_at: datetime, awaits_key: bool
) -> datetime:
    """When to look again; spread, so that domains added together are not asked together."""
    pause = _pause(status, now - awaited_since, now - changed_at)
    if awaits_key:
        pause = min(pause, _step(AWAITED, now - awaited_since))
    return now + pause * random.uniform(0.9, 1.1)


def _pause(status: str, awaited: timedelta, standing: timedelta) -> timedelta:
    if status == VERIFIED:
        return _step(STANDING, standing)
    if status == FAILED:
        return _step(GONE, standing)
    if status == PARTIALLY_FAILED:
        return VANISHED_PAUSE
    return _step(AWAITED, awaited)


def _step(ladder: Ladder, age: timedelta) -> timedelta:
    return next(pause for until, pause in ladder if age < until)
