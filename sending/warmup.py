"""How much a young sending domain may send on each of its first days. Pure.

Mailbox providers distrust a domain that starts with a flood. Their own advice is to double the
volume every day or two and to stop where the domain's usual volume is reached.
"""

from datetime import UTC, date, datetime, timedelta

FIRST_DAY_LIMIT = 50
DAYS = 14


def limit_on(day: date, *, started_on: date) -> int | None:
    """Messages that may leave on that day, in UTC; None when the warm-up is over."""
    days = max(0, (day - started_on).days)
    return FIRST_DAY_LIMIT * 2**days if days < DAYS else None


def next_day(now: datetime) -> datetime:
    """The next midnight in UTC."""
    return datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
