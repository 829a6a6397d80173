"""When a delivery is tried again, and when it is given up. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Schedule:
    """The first pause doubles up to the longest; nothing is tried after the final age."""

    first_seconds: float = 15.0
    longest_seconds: float = 2 * 3600.0
    final_age_seconds: float = 2 * 86_400.0


def pause(attempt: int, *, schedule: Schedule, chance: float) -> timedelta:
    """How long to wait after this many attempts (1 = the first has just failed).

    `chance` in [0, 1) spreads the pause between half and one and a half of itself, so that what
    failed together does not come back together.
    """
    # Bounded before it is raised: attempts are stored, and 2 ** 10_000 is no float.
    doublings = min(max(attempt, 1) - 1, 40)
    seconds = min(schedule.first_seconds * 2**doublings, schedule.longest_seconds)
    return timedelta(seconds=seconds * (0.5 + chance))


def next_attempt_at(
    *, now: datetime, accepted_at: datetime, attempt: int, schedule: Schedule, chance: float
) -> datetime | None:
    """The time of the next attempt; None when the message is too old to be tried again.

    The last attempt falls on the final age itself, rather than one long pause before it.
    """
    gives_up_at = accepted_at + timedelta(seconds=schedule.final_age_seconds)
    if now >= gives_up_at:
        return None
    return min(now + pause(attempt, schedule=schedule, chance=chance), gives_up_at)
