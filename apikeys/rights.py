"""What a key may do, as one value: read from a request, compared with the creator's own. Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from apikeys import allowlist, sending_domains
from apikeys.policy import KeyRecord
from apikeys.tokens import Environment
from queensmtp.addresses import AddressRefused
from queensmtp.errors import FieldError, ValidationFailed, refuse_field
from queensmtp.scopes import ALL, Scope, granted

NAME_LIMIT, NOTES_LIMIT, LABEL_LIMIT, LABELS_MAXIMUM = 100, 2_000, 64, 16
RATE_MAXIMUM, PERIOD_MAXIMUM = 100_000, 86_400
QUOTA_MAXIMUM = 1_000_000_000
LIST_MAXIMUM = 100
# From a day, which leaves time to be reminded, to two years.
SCHEDULE_MINIMUM, SCHEDULE_MAXIMUM = 86_400, 731 * 86_400
# A day from the end of Python's calendar, which a viewer's time zone must not cross.
LATEST_EXPIRY = datetime(9999, 12, 30, tzinfo=UTC)
LEARNING_MAXIMUM = timedelta(days=30)
# Labels become filters and groups of reports; the name is a word, the value any short text.
LABEL_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_ -]{0,63}")


@dataclass(frozen=True, slots=True)
class Rights:
    """The settable limits of a key. None = no restriction of that kind."""

    scopes: tuple[str, ...]
    domains: tuple[str, ...] | None = None
    allowed_cidrs: tuple[str, ...] | None = None
    allowed_recipients: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    rate_requests: int | None = None
    rate_per_seconds: int | None = None
    # With it, `expires_at` is the deadline of the next rotation.
    rotate_every_seconds: int | None = None
    learning_until: datetime | None = None
    daily_quota: int | None = None

    def renewed(self, now: datetime) -> "Rights":
        """The same rights with the deadline of a new secret."""
        if self.rotate_every_seconds is None:
            return self
        return replace(self, expires_at=now + timedelta(seconds=self.rotate_every_seconds))

    def columns(self) -> dict[str, Any]:
        return {
            one.name: list(value) if isinstance(value := getattr(self, one.name), tuple) else value
            for one in fields(self)
        }


@dataclass(slots=True)
class Reading:
    """Collects what is wrong, so that one answer names every field."""

    problems: list[FieldError] = field(default_factory=list)

    def refuse(self, name: str, code: str, message: str) -> None:
        self.problems.append(FieldError(name, code, message))

    def finish(self) -> None:
        if self.problems:
            first = self.problems[0]
            raise ValidationFailed(f"`{first.field}`: {first.message}", errors=self.problems)


def read(body: Mapping[str, Any], *, now: datetime, reading: Reading) -> Rights:
    """The rights that a request asks for; what is wrong goes into `reading`."""
    scopes = _strings(body, "scopes", reading) or ()
    if not scopes:
        reading.refuse("scopes", "required", "give at least one scope.")
    for scope in scopes:
        if scope not in ALL:
            known = ", ".join(sorted(Scope))
            reading.refuse("scopes", "unknown_scope", f"there is no scope {scope!r}; use {known}.")
    cidrs = _strings(body, "allowed_cidrs", reading)
    if cidrs is not None:
        ranges, problems = allowlist.read(cidrs, allow_wide=body.get("allow_wide_cidrs") is True)
        reading.problems.extend(problems)
        cidrs = tuple(ranges)
    requests, per_seconds = _rate(body.get("rate_limit"), reading)
    every = _schedule(body, reading)
    wanted = Rights(
        scopes=scopes,
        domains=_normal(body, "domains", sending_domains.read, reading),
        allowed_cidrs=cidrs,
        allowed_recipients=_normal(
            body, "allowed_recipients", sending_domains.read_recipient, reading
        ),
        expires_at=_expiry(body.get("expires_at"), now, reading),
        rate_requests=requests,
        rate_per_seconds=per_seconds,
        rotate_every_seconds=every,
        learning_until=_learning(body.get("learning_until"), now, reading),
        daily_quota=_quota(body.get("daily_quota"), reading),
    )
    return wanted.renewed(now)


def above_ceiling(wanted: Rights, creator: KeyRecord) -> list[FieldError]:
    """In which dimensions `wanted` exceeds what the creating key has itself."""
    beyond = [] if set(wanted.scopes) <= granted(creator.scopes) else ["scopes"]
    if not _recipients_within(wanted.allowed_recipients, creator.allowed_recipients):
        beyond.append("allowed_recipients")
    if not sending_domains.within(wanted.domains, creator.domains):
        beyond.append("domains")
    if not _ranges_within(wanted.allowed_cidrs, creator.allowed_cidrs):
        beyond.append("allowed_cidrs")
    if _learns_longer(wanted, creator):
        beyond.append("learning_until")
    own_end = _earliest(creator.expires_at, creator.overlap_ends_at)
    if own_end and (wanted.expires_at is None or wanted.expires_at > own_end):
        beyond.append("expires_at")
    if _rate_exceeds(wanted, creator):
        beyond.append("rate_limit")
    if creator.daily_quota and (wanted.daily_quota or QUOTA_MAXIMUM + 1) > creator.daily_quota:
        beyond.append("daily_quota")
    message = "a key cannot give more than it has itself."
    return [FieldError(name, "above_ceiling", message) for name in beyond]


def _recipients_within(asked: Sequence[str] | None, own: Sequence[str] | None) -> bool:
    """A whole address lies within its domain's rule, as the policy has it."""
    if own is None:
        return True
    return asked is not None and all(one in own or one[one.rindex("@") :] in own for one in asked)


def _ranges_within(asked: Sequence[str] | None, own: Sequence[str] | None) -> bool:
    if own is None:
        return True
    return asked is not None and all(allowlist.covers(own, one) for one in asked)


def _learns_longer(wanted: Rights, creator: KeyRecord) -> bool:
    """A key that learns is let in from everywhere, which a restricted creator is not."""
    if wanted.learning_until is None or creator.allowed_cidrs is None:
        return False
    return creator.learning_until is None or wanted.learning_until > creator.learning_until


def _rate_exceeds(wanted: Rights, creator: KeyRecord) -> bool:
    if creator.rate_requests is None or creator.rate_per_seconds is None:
        return False
    if wanted.rate_requests is None or wanted.rate_per_seconds is None:
        return True
    own = creator.rate_requests * wanted.rate_per_seconds
    return (
        wanted.rate_requests * creator.rate_per_seconds > own
        or wanted.rate_requests > creator.rate_requests
    )


def _earliest(*times: datetime | None) -> datetime | None:
    return min((at for at in times if at is not None), default=None)


def read_name(body: Mapping[str, Any], reading: Reading) -> str:
    name = body.get("name")
    if not isinstance(name, str) or not name.strip():
        reading.refuse("name", "required", "give the key a name.")
        return ""
    if len(name) > NAME_LIMIT or not name.isprintable():
        message = f"use at most {NAME_LIMIT} printable characters."
        reading.refuse("name", "invalid", message)
    return name.strip()


def read_notes(body: Mapping[str, Any], reading: Reading) -> str:
    notes = body.get("notes")
    if notes is None:
        return ""
    if not isinstance(notes, str) or len(notes) > NOTES_LIMIT or "\0" in notes:
        reading.refuse("notes", "invalid", f"give a text of at most {NOTES_LIMIT} characters.")
        return ""
    return notes


def read_labels(body: Mapping[str, Any], reading: Reading) -> dict[str, str]:
    labels = body.get("labels")
    if labels is None:
        return {}
    if not isinstance(labels, dict) or len(labels) > LABELS_MAXIMUM:
        message = f"give an object of at most {LABELS_MAXIMUM} names and values."
        reading.refuse("labels", "invalid", message)
        return {}
    for name, value in labels.items():
        if not LABEL_NAME.fullmatch(name) or not _is_label_value(value):
            message = f"names and values are short texts of at most {LABEL_LIMIT} characters."
            reading.refuse(f"labels.{name[:LABEL_LIMIT]}", "invalid", message)
    return labels


def read_label(text: str) -> dict[str, str]:
    """A label to look for, written `name:value` as in the audit log."""
    name, _, value = text.partition(":")
    if not LABEL_NAME.fullmatch(name) or not _is_label_value(value):
        raise refuse_field("label", "invalid", "give a label as name:value.")
    return {name: value}


def read_environment(body: Mapping[str, Any], reading: Reading) -> Environment:
    given = body.get("environment")
    if given in list(Environment):
        return Environment(given)
    reading.refuse("environment", "unknown", f"choose one of {', '.join(Environment)}.")
    return Environment.DEVELOPMENT


def read_flag(body: Mapping[str, Any], name: str, reading: Reading) -> bool:
    given = body.get(name)
    if given is not None and not isinstance(given, bool):
        reading.refuse(name, "invalid", "give true or false.")
    return given is True


def _is_label_value(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LABEL_LIMIT and value.isprintable()


def _strings(body: Mapping[str, Any], name: str, reading: Reading) -> tuple[str, ...] | None:
    values = body.get(name)
    if values is None:
        return None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        reading.refuse(name, "not_a_list", "give a list of texts.")
        return None
    if not values:
        reading.refuse(name, "empty", "an empty list would allow nothing; leave it out instead.")
    if name != "allowed_cidrs" and len(values) > LIST_MAXIMUM:
        reading.refuse(name, "too_many", f"give at most {LIST_MAXIMUM}.")
        # No more is looked at: a problem for each would make a small request a huge answer.
        values = values[:LIST_MAXIMUM]
    if name != "allowed_cidrs" and len(set(values)) != len(values):
        reading.refuse(name, "repeated", "each may stand only once.")
    return tuple(values)


def _normal(
    body: Mapping[str, Any], name: str, read: Callable[[str], str], reading: Reading
) -> tuple[str, ...] | None:
    """A list of names, each in the normal form that mail is compared in."""
    values = _strings(body, name, reading)
    if values is None:
        return None
    normal: list[str] = []
    for value in values:
        try:
            normal.append(read(value))
        except AddressRefused as problem:
            message = f"{value[:80]!r} is not what belongs here: it {problem.message}."
            reading.refuse(name, "invalid", message)
    if len(set(normal)) != len(normal):
        reading.refuse(name, "repeated", "each may stand only once.")
    return tuple(normal)


def _rate(value: Any, reading: Reading) -> tuple[int | None, int | None]:
    if value is None:
        return None, None
    if isinstance(value, dict) and set(value) == {"requests", "per_seconds"}:
        requests, per_seconds = value["requests"], value["per_seconds"]
        if _is_count(requests, RATE_MAXIMUM) and _is_count(per_seconds, PERIOD_MAXIMUM):
            return requests, per_seconds
    reading.refuse(
        "rate_limit",
        "invalid",
        f"give `requests` (1 to {RATE_MAXIMUM}) and `per_seconds` (1 to {PERIOD_MAXIMUM}).",
    )
    return None, None


def _quota(value: Any, reading: Reading) -> int | None:
    if value is None:
        return None
    if _is_count(value, QUOTA_MAXIMUM):
        return int(value)
    message = f"give the recipients of a day, a whole number from 1 to {QUOTA_MAXIMUM}."
    reading.refuse("daily_quota", "invalid", message)
    return None


def _is_count(value: object, highest: int) -> bool:
    return type(value) is int and 1 <= value <= highest


def _schedule(body: Mapping[str, Any], reading: Reading) -> int | None:
    """How often the key must be rotated; its expiry follows from that."""
    every = body.get("rotate_every_seconds")
    if every is None:
        return None
    if type(every) is not int or not SCHEDULE_MINIMUM <= every <= SCHEDULE_MAXIMUM:
        message = f"give a whole number of seconds from {SCHEDULE_MINIMUM} to {SCHEDULE_MAXIMUM}."
        reading.refuse("rotate_every_seconds", "out_of_range", message)
        return None
    if body.get("expires_at") is not None:
        message = "a schedule sets the expiry of each secret; give one of the two."
        reading.refuse("expires_at", "set_by_schedule", message)
    return every


def _expiry(value: Any, now: datetime, reading: Reading) -> datetime | None:
    expires_at = _time_to_come("expires_at", value, now, reading)
    if expires_at is not None and expires_at > LATEST_EXPIRY:
        message = f"give a time before {LATEST_EXPIRY:%Y-%m-%d}, or leave it out."
        reading.refuse("expires_at", "too_late", message)
    return expires_at


def _learning(value: Any, now: datetime, reading: Reading) -> datetime | None:
    """Bounded, so that a key that somebody forgot does not stay open for ever."""
    until = _time_to_come("learning_until", value, now, reading)
    if until is not None and until > now + LEARNING_MAXIMUM:
        message = f"a key learns for {LEARNING_MAXIMUM.days} days at most."
        reading.refuse("learning_until", "too_late", message)
    return until


def _time_to_come(name: str, value: Any, now: datetime, reading: Reading) -> datetime | None:
    if value is None:
        return None
    try:
        given = datetime.fromisoformat(value)
        moment = given.astimezone(UTC) if given.tzinfo else None
    except (TypeError, ValueError, OverflowError):
        moment = None
    if moment is None:
        message = "give an ISO 8601 time with an offset, such as 2027-01-31T00:00:00Z."
        reading.refuse(name, "invalid", message)
    elif moment <= now:
        reading.refuse(name, "in_the_past", "give a time that is yet to come.")
    return moment
