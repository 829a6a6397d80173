"""The use of a key by day as a small chart: where each bar stands, for an inline SVG. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

HEIGHT, STEP, GAP = 48, 10, 2
# A day with one request is seen beside a day with a million.
LEAST = 2


@dataclass(frozen=True, slots=True)
class Day:
    """One day of use, and its two bars: what was let in, and above it what was not."""

    date: date
    allowed_count: int
    refused_count: int
    x: int
    allowed_height: int
    refused_height: int

    @property
    def allowed_y(self) -> int:
        return HEIGHT - self.allowed_height

    @property
    def refused_y(self) -> int:
        return self.allowed_y - self.refused_height


@dataclass(frozen=True, slots=True)
class Sparkline:
    days: list[Day]

    height = HEIGHT
    bar_width = STEP - GAP

    @property
    def width(self) -> int:
        return len(self.days) * STEP

    @property
    def allowed_count(self) -> int:
        return sum(day.allowed_count for day in self.days)

    @property
    def refused_count(self) -> int:
        return sum(day.refused_count for day in self.days)

    @property
    def is_empty(self) -> bool:
        return not (self.allowed_count or self.refused_count)


def of_days(counts: Mapping[date, Mapping[str, int]], *, since: date, until: date) -> Sparkline:
    """The chart from the first day to the last; both are meant."""
    days = [since + timedelta(days=one) for one in range((until - since).days + 1)]
    pairs = [_pair(counts.get(day, {})) for day in days]
    most = max(map(sum, pairs), default=0)
    return Sparkline(
        [
            Day(day, *pair, place * STEP, *(_height(count, most) for count in pair))
            for place, (day, pair) in enumerate(zip(days, pairs, strict=True))
        ]
    )


def _pair(outcomes: Mapping[str, int]) -> tuple[int, int]:
    allowed = outcomes.get("allowed", 0)
    return allowed, sum(outcomes.values()) - allowed


def _height(count: int, most: int) -> int:
    return max(LEAST, round(count * (HEIGHT - LEAST) / most)) if count else 0
