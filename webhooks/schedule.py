"""What follows an attempt: done, tried again and when, or given up. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Literal

# Receivers that come back together must not be hit together.
JITTER = 0.1


@dataclass(frozen=True)
class Verdict:
    state: Literal["delivered", "pending", "failed"]
    # For a pending one; None otherwise.
    due_at: datetime | None = None


DELIVERED = Verdict("delivered")
FAILED = Verdict("failed")


def after_answer(
    *,
    status: int,
    retry_after: str | None,
    try_number: int,
    now: datetime,
    pauses: Sequence[int],
    random: Callable[[], float],
) -> Verdict:
    """Any 2xx is success, 410 asks for no more, everything else is tried again."""
    if 200 <= status < 300:
        return DELIVERED
    if status == HTTPStatus.GONE:
        return FAILED
    verdict = after_failure(try_number=try_number, now=now, pauses=pauses, random=random)
    if verdict.due_at is None:
        return verdict
    asked = read_retry_after(retry_after, now=now, at_most=max(pauses))
    return Verdict("pending", due_at=max(verdict.due_at, now + timedelta(seconds=asked)))


def after_failure(
    *,
    try_number: int,
    now: datetime,
    pauses: Sequence[int],
    random: Callable[[], float],
) -> Verdict:
    """The pause after the n-th attempt is the n-th of the schedule; after the last, none."""
    if try_number > len(pauses):
        return FAILED
    pause = pauses[try_number - 1] * (1 - JITTER + 2 * JITTER * random())
    return Verdict("pending", due_at=now + timedelta(seconds=pause))


def read_retry_after(value: str | None, *, now: datetime, at_most: int) -> float:
    """Seconds to wait (RFC 9110, section 10.2.3), between nothing and `at_most`."""
    if value is None:
        return 0.0
    text = value.strip()
    if text.isascii() and text.isdigit():
        # A number of more digits than these is clamped anyway.
        return float(min(int(text[:12]), at_most))
    try:
        at = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return 0.0
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), float(at_most))
