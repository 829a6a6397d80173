"""The days and months that quotas count in: UTC's. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum


class Period(StrEnum):
    DAY = "day"
    MONTH = "month"

    @property
    def adverb(self) -> str:
        return "daily" if self is Period.DAY else "monthly"

    def start(self, today: date) -> date:
        return today if self is Period.DAY else today.replace(day=1)

    def end(self, today: date) -> date:
        """The first day of the next one."""
        return self.start(self.start(today) + timedelta(days=1 if self is Period.DAY else 31))

    def starts_at(self, today: date) -> datetime:
        return datetime.combine(self.start(today), time.min, tzinfo=UTC)

    def ends_at(self, today: date) -> datetime:
        return datetime.combine(self.end(today), time.min, tzinfo=UTC)
