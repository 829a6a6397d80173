"""The filters of the audit log: one reading of the query, for the API and the console alike."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from uuid import UUID

from auditlog import words
from auditlog.entries import OUTCOMES
from queensmtp.errors import ApiError, FieldError, ValidationFailed
from queensmtp.ids import find_id

ACTOR_TYPES = ("user", "key", "system")
CURSOR_NAMES = frozenset({"limit", "after", "before"})
MOST_EVENTS = 50
LONGEST_TEXT = 256
MOST_WORDS = 8
# `created_at` and the id are read from the clock one after the other, never this far apart.
CLOCK_SLACK = timedelta(minutes=1)

_EVENT = re.compile(r"[a-z0-9_]{1,64}\.(?:[a-z0-9_]{1,64}|\*)")
# The years that an id's 48 bits of milliseconds and Python's calendar both hold with room to spare.
_YEARS = range(2000, 3000)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:[Zz]|[+-]\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class AddressRange:
    """The addresses ``low <= ip <= high``, which a B-tree can search under row-level security."""

    low: str
    high: str

    @property
    def is_of_one_customer(self) -> bool:
        """One address, or the /64 that IPv6 gives to one (RFC 6177)."""
        low, high = ip_address(self.low), ip_address(self.high)
        return int(high) - int(low) < (2**64 if low.version == high.version == 6 else 1)


@dataclass(frozen=True, slots=True)
class Named:
    """An actor or a target: by type, by id, or by both; an empty part matches all."""

    type: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Filters:
    """What to look for. Every part left empty matches everything."""

    since: datetime | None = None
    until: datetime | None = None
    events: tuple[str, ...] = ()
    key_id: UUID | None = None
    actor: Named | None = None
    ip: AddressRange | None = None
    outcome: str = ""
    target: Named | None = None
    label: Label | None = None
    request_id: str = ""
    # Of the target, all of them.
    words: tuple[str, ...] = ()
    reads: bool | None = None

    @property
    def names_somebody(self) -> bool:
        """Any other filter alone, and a kind of actor or target, is about strangers too."""
        is_named = any(one is not None and one.id for one in (self.actor, self.target))
        is_one_address = self.ip is not None and self.ip.is_of_one_customer
        return is_named or is_one_address or bool(self.words)

    @property
    def hides_reads(self) -> bool:
        """Ordinary reads show when they are asked for, by the switch or by naming events."""
        return not self.events if self.reads is None else not self.reads

    def id_bounds(self) -> tuple[UUID | None, UUID | None]:
        """Return the ids between which everything of the time range lies."""
        return id_bounds(self.since, self.until)


def id_bounds(since: datetime | None, until: datetime | None) -> tuple[UUID | None, UUID | None]:
    low = _first_id_at(since - CLOCK_SLACK) if since else None
    high = _first_id_at(until + CLOCK_SLACK) if until else None
    return low, high


def _first_id_at(moment: datetime) -> UUID:
    """Return the lowest UUIDv7 of a millisecond."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


class _Refused(Exception):
    """One value cannot be read: its code and what to give instead."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def read(query: Mapping[str, Sequence[str]]) -> Filters:
    """Read ``{name: [values]}``; 422 for unknown names, repeated ones and unreadable values.

    A typo must never widen a search. Cursor names are left to the pagination.
    """
    found, errors = {}, []
    for name, values in query.items():
        if name in CURSOR_NAMES:
            continue
        try:
            field, value = _read_one(name, values)
            found[field] = value
        except _Refused as error:
            errors.append(FieldError(name, error.code, str(error)))
    if errors:
        raise _refusal(errors)
    return Filters(**found)


def _refusal(errors: Sequence[FieldError]) -> ApiError:
    first = errors[0]
    return ValidationFailed(f"`{first.field}`: {first.message}", errors=errors)


def _read_one(name: str, values: Sequence[str]) -> tuple[str, Any]:
    if name == "event":
        return "events", _events(values)
    if name not in _READERS:
        known = ", ".join(sorted({*_READERS, "event", *CURSOR_NAMES}))
        raise _Refused("unknown_field", f"there is no such filter; the filters are {known}.")
    if len(values) != 1:
        raise _Refused("repeated", "give it once.")
    field, reader = _READERS[name]
    return field, reader(values[0])


def _events(values: Sequence[str]) -> tuple[str, ...]:
    if len(values) > MOST_EVENTS:
        raise _Refused("too_many", f"give at most {MOST_EVENTS} events.")
    for value in values:
        if not _EVENT.fullmatch(value):
            raise _Refused("invalid", "an event is like `api_key.created`, or `api_key.*` for all.")
    return tuple(dict.fromkeys(values))


def _since(text: str) -> datetime:
    return _moment(f"{text}T00:00Z" if _DATE.fullmatch(text) else text)


def _until(text: str) -> datetime:
    # A bare day is meant to its end.
    return _since(text) + timedelta(days=1) if _DATE.fullmatch(text) else _moment(text)


def _moment(text: str) -> datetime:
    if not _MOMENT.fullmatch(text):
        raise _Refused(
            "invalid",
            "give a day (2026-11-21) or a time with its offset (2026-11-21T10:00:00Z; `+` is %2B).",
        )
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise _Refused("invalid", "there is no such time.") from error
    if moment.year not in _YEARS:
        raise _Refused("out_of_range", f"give a year from {_YEARS[0]} to {_YEARS[-1]}.")
    return moment


def _key_id(text: str) -> UUID:
    found = find_id(text)
    if found is None:
        raise _Refused("invalid", "give the key's id, a UUID.")
    return found


def _ip(text: str) -> AddressRange:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise _Refused("invalid", "give an address or a CIDR range without host bits.") from error
    if "%" in text or not re.fullmatch(r"[^/]+(/\d{1,3})?", text):
        raise _Refused("invalid", "give a range as address/prefix length.")
    return AddressRange(low=_plain_address(network[0]), high=_plain_address(network[-1]))


def _plain_address(address: IPv4Address | IPv6Address) -> str:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def _outcome(text: str) -> str:
    if text not in OUTCOMES:
        raise _Refused("invalid", f"give one of {', '.join(OUTCOMES)}.")
    return text


def _actor(text: str) -> Named:
    named = _named(text, types=ACTOR_TYPES)
    return Named(type=text) if text in ACTOR_TYPES else named


def _target(text: str) -> Named:
    return _named(text)


def _named(text: str, *, types: Sequence[str] = ()) -> Named:
    kind, colon, identifier = _short(text).partition(":")
    is_typed = colon and (kind in types or not types and kind.isidentifier())
    return Named(type=kind, id=identifier) if is_typed else Named(id=text)


def _label(text: str) -> Label:
    name, colon, value = _short(text).partition(":")
    if not (name and colon):
        raise _Refused("invalid", "give a label as name:value.")
    return Label(name=name, value=value)


def _words(text: str) -> tuple[str, ...]:
    found = tuple(words.wanted(_short(text)))
    if not 0 < len(found) <= MOST_WORDS:
        raise _Refused("invalid", f"give 1 to {MOST_WORDS} words.")
    return found


def _short(text: str) -> str:
    if not 0 < len(text) <= LONGEST_TEXT or "\x00" in text:
        raise _Refused("invalid", f"give 1 to {LONGEST_TEXT} characters.")
    return text


def _switch(text: str) -> bool:
    if text not in ("true", "false"):
        raise _Refused("invalid", "give true or false.")
    return text == "true"


_READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "from": ("since", _since),
    "to": ("until", _until),
    "key_id": ("key_id", _key_id),
    "actor": ("actor", _actor),
    "ip": ("ip", _ip),
    "outcome": ("outcome", _outcome),
    "target": ("target", _target),
    "label": ("label", _label),
    "request_id": ("request_id", _short),
    "q": ("words", _words),
    "reads": ("reads", _switch),
}

NAMES = frozenset({*_READERS, "event"})
