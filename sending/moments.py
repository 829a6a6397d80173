"""Reads `scheduled_at`: ISO 8601, or a few plain English forms (wire contract 2.1). Pure.

    in 1 min · in an hour · in 1 hour and 30 minutes · in 2 days
    tomorrow · tomorrow at 9am · today at 17:30 · at noon · friday at 3pm · next monday at 9am

A time of day may be followed by its zone: `9am UTC`, `3pm ET`, `9:00 Europe/Berlin`, `9am +02:00`.
Without one it is UTC. What cannot be read in exactly one way is refused.
"""

import re
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

LONGEST = timedelta(days=30)
# A client's clock may be behind ours, and a request takes its time.
CLOCK_SLACK = timedelta(minutes=1)
TEXT_LIMIT = 100

_ISO = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)? ?([Zz]|[+-]\d\d(:?\d\d)?)", re.ASCII
)
_FRACTION = re.compile(r"[.,](\d+)")
_SECONDS = {
    **dict.fromkeys(("second", "seconds", "sec", "secs", "s"), 1),
    **dict.fromkeys(("minute", "minutes", "min", "mins", "m"), 60),
    **dict.fromkeys(("hour", "hours", "hr", "hrs", "h"), 3_600),
    **dict.fromkeys(("day", "days", "d"), 86_400),
    **dict.fromkeys(("week", "weeks", "w"), 7 * 86_400),
}
_PERIOD = re.compile(r"(an? |\d{1,6} ?)([a-z]+)", re.ASCII)
_BETWEEN_PERIODS = re.compile(r" (?:and )?|, (?:and )?")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAY = re.compile(rf"(today|tomorrow|(?:next |on |this )?(?:{'|'.join(_WEEKDAYS)}))\b,? ?")
_CLOCK = re.compile(
    r"(?:at )?(?:(noon|midnight)|(\d{1,2})(?::(\d\d))?(?: ?([ap])\.?m\.?)?)(?: (\S.*))?", re.ASCII
)
_OFFSET = re.compile(r"(?:utc|gmt)? ?([+-])(\d\d?)(?::?(\d\d))?", re.ASCII)
_ZONES = {
    **dict.fromkeys(("utc", "gmt", "z"), "UTC"),
    **dict.fromkeys(("et", "est", "edt"), "America/New_York"),
    **dict.fromkeys(("ct", "cst", "cdt"), "America/Chicago"),
    **dict.fromkeys(("mt", "mst", "mdt"), "America/Denver"),
    **dict.fromkeys(("pt", "pst", "pdt"), "America/Los_Angeles"),
    **dict.fromkeys(("cet", "cest"), "Europe/Paris"),
    "bst": "Europe/London",
}
_ZONE_NAME = re.compile(r"[A-Za-z]+(?:/[A-Za-z_+-]+){1,2}")


class MomentRefused(ValueError):
    """No time that mail can be scheduled for; `code` is stable, the text is for a person."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def read(text: str, *, now: datetime) -> datetime:
    """The moment in UTC, no later than 30 days from `now`. Raises MomentRefused."""
    moment = _moment(text.strip(), now.astimezone(UTC))
    if moment < now - CLOCK_SLACK:
        raise MomentRefused("in_the_past", "lies in the past")
    if moment > now + LONGEST:
        raise MomentRefused("too_far_ahead", f"is more than {LONGEST.days} days ahead")
    return moment


def _moment(text: str, now: datetime) -> datetime:
    if len(text) > TEXT_LIMIT:
        raise _unreadable()
    try:
        if _ISO.fullmatch(text):
            return _iso(text)
        words = re.sub(r"[ \t]+", " ", text)
        return _after(words.lower(), now) or _on_a_day(words, now)
    except (ValueError, OverflowError) as problem:
        if isinstance(problem, MomentRefused):
            raise
        raise _unreadable() from None


def _unreadable() -> MomentRefused:
    return MomentRefused(
        "invalid_time",
        "must be a time such as `2026-12-24T18:00:00Z` (with its offset), `in 1 hour` or "
        "`tomorrow at 9am`",
    )


def _iso(text: str) -> datetime:
    # Python reads at most six decimals.
    shortened = _FRACTION.sub(lambda found: "." + found[1][:6].ljust(6, "0"), text.upper())
    day, clock = shortened[:10], shortened[11:].replace(" ", "")
    return datetime.fromisoformat(f"{day}T{clock}").astimezone(UTC)


def _after(text: str, now: datetime) -> datetime | None:
    """`in 1 hour and 30 minutes`, from now on."""
    if not text.startswith("in "):
        return None
    seconds, position = 0, 3
    while position < len(text):
        found = _PERIOD.match(text, position)
        if not found or found[2] not in _SECONDS:
            raise _unreadable()
        count = int(found[1]) if found[1].strip().isdigit() else 1
        seconds += count * _SECONDS[found[2]]
        position = found.end()
        between = _BETWEEN_PERIODS.match(text, position)
        if position < len(text) and not between:
            raise _unreadable()
        position = between.end() if between else position
    # Whatever lies beyond the longest is refused anyhow; Python counts only so many years.
    return now + timedelta(seconds=min(seconds, 10**9))


def _on_a_day(text: str, now: datetime) -> datetime:
    """`tomorrow at 9am`, `friday at 3pm ET`, `at noon`."""
    named = _DAY.match(text.lower())
    rest = text[named.end() :] if named else text
    if named and not rest:
        if named[1] == "tomorrow":
            return now + timedelta(days=1)
        raise MomentRefused("invalid_time", f"needs a time of day, such as `{text} at 9am`")
    clock = _CLOCK.fullmatch(rest.lower())
    if not clock:
        raise _unreadable()
    zone = _zone(rest[clock.start(5) :] if clock[5] else "")
    at = _time_of_day(clock)
    here = now.astimezone(zone)
    moment = datetime.combine(here.date(), at, tzinfo=zone)
    days = _days_ahead(named[1] if named else "", here, is_over=moment <= here)
    # Added to the wall clock, so that 9am stays 9am when the clocks change.
    return (moment + timedelta(days=days)).astimezone(UTC)


def _days_ahead(day: str, here: datetime, *, is_over: bool) -> int:
    if day == "today":
        return 0
    if day == "tomorrow":
        return 1
    if not day:
        return 1 if is_over else 0
    days = (_WEEKDAYS.index(day.split(" ")[-1]) - here.weekday()) % 7
    if days == 0 and (is_over or day.startswith("next ")):
        return 7
    return days


def _time_of_day(clock: re.Match[str]) -> time:
    word, hour, minute, half = clock[1], int(clock[2] or 0), int(clock[3] or 0), clock[4]
    if word:
        return time(12 if word == "noon" else 0)
    if half:
        if not 1 <= hour <= 12:
            raise _unreadable()
        hour = hour % 12 + (12 if half == "p" else 0)
    elif clock[3] is None:
        # `at 9` may be morning or evening.
        raise _unreadable()
    return time(hour, minute)


def _zone(text: str) -> tzinfo:
    if not text:
        return UTC
    if text.lower() in _ZONES:
        return ZoneInfo(_ZONES[text.lower()])
    offset = _OFFSET.fullmatch(text.lower())
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        if minutes > 14 * 60:
            raise _unreadable()
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    if not _ZONE_NAME.fullmatch(text):
        raise _unreadable()
    try:
        return ZoneInfo(text)
    except (KeyError, OSError, ValueError):
        raise _unreadable() from None
