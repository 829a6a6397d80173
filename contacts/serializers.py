"""Reads what clients send about suppressions. Unknown fields are ignored (wire contract 8)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.utils.dateparse import parse_datetime

from contacts.actions import Wanted
from contacts.models import REASON_LIMIT, Origin
from queensmtp import addresses
from queensmtp.addresses import AddressRefused
from queensmtp.errors import FieldError, MissingField, ValidationFailed, refuse_field
from queensmtp.ids import find_id

BATCH_MAXIMUM = 1_000
# Enough to mend a request by.
NAMED_AT_MOST = 100
# Far from the end of Python's calendar, which a viewer's time zone must not cross.
LATEST_END = datetime(3000, 1, 1, tzinfo=UTC)


def read_one(body: Any, *, now: datetime) -> Wanted:
    """The body of a create; `reason` and `expires_at` are ours."""
    given = _object(body)
    reason, ends_at = _reason(given), _end(given, now)
    if given.get("email") is None:
        raise MissingField("Missing `email` field.", errors=[_missing("email")])
    return Wanted(_key(given["email"], "email"), Origin.MANUAL, reason, expires_at=ends_at)


def read_many(body: Any, *, now: datetime) -> list[Wanted]:
    """The body of a batch: every address is good, or nothing is added."""
    given = _object(body)
    reason, ends_at = _reason(given), _end(given, now)
    emails = _keys(_texts(given, "emails"))
    return [Wanted(one, Origin.MANUAL, reason, expires_at=ends_at) for one in emails]


def read_removal(body: Any) -> tuple[list[str], list[UUID]]:
    """The mailboxes and the ids of a batch that removes; one of the two is given."""
    given = _object(body)
    if given.get("ids") is None:
        return _keys(_texts(given, "emails")), []
    if given.get("emails") is not None:
        raise refuse_field("ids", "conflicting", "give `emails` or `ids`, not both.")
    # What is no id names nothing.
    ids = (find_id(text) for text in _texts(given, "ids"))
    return [], [one for one in ids if one]


def read_origin(query: Mapping[str, str]) -> Origin | None:
    text = query.get("origin")
    if text is None:
        return None
    if text not in Origin.values:
        raise refuse_field("origin", "unknown", f"choose one of {', '.join(Origin.values)}.")
    return Origin(text)


def find_key(text: str) -> str | None:
    """The key of the mailbox that a text names, or None."""
    try:
        return addresses.parse(text).key
    except AddressRefused:
        return None


def _key(text: Any, field: str) -> str:
    if not isinstance(text, str):
        raise refuse_field(field, "not_a_text", "must be a text such as `ann@example.com`.")
    try:
        return addresses.parse(text).key
    except AddressRefused as refused:
        raise refuse_field(field, refused.code, f"{refused.message}.") from None


def _keys(texts: Sequence[str]) -> list[str]:
    keys, problems = [], []
    for at, text in enumerate(texts):
        try:
            keys.append(addresses.parse(text).key)
        except AddressRefused as refused:
            problems.append(FieldError(f"emails[{at}]", refused.code, f"{refused.message}."))
    if problems:
        message = f"`{problems[0].field}`: {problems[0].message}"
        raise ValidationFailed(message, errors=problems[:NAMED_AT_MOST])
    return keys


def _texts(given: Mapping[str, Any], name: str) -> list[str]:
    values = given.get(name)
    if values is None:
        raise MissingField(f"Missing `{name}` field.", errors=[_missing(name)])
    is_list_of_texts = isinstance(values, list) and all(isinstance(one, str) for one in values)
    if not is_list_of_texts or not 1 <= len(values) <= BATCH_MAXIMUM:
        raise refuse_field(name, "invalid", f"must be a list of 1 to {BATCH_MAXIMUM} texts.")
    return list(values)


def _object(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise refuse_field("body", "not_an_object", "must be a JSON object.")
    return body


def _reason(given: Mapping[str, Any]) -> str:
    reason = given.get("reason")
    if reason is None:
        return ""
    if not isinstance(reason, str) or len(reason) > REASON_LIMIT or not reason.isprintable():
        message = f"must be a text of at most {REASON_LIMIT} printable characters."
        raise refuse_field("reason", "invalid", message)
    return reason


def _end(given: Mapping[str, Any], now: datetime) -> datetime | None:
    text = given.get("expires_at")
    if text is None:
        return None
    try:
        moment = parse_datetime(text) if isinstance(text, str) else None
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        message = "must be an ISO 8601 time with its offset, such as `2027-01-01T00:00:00Z`."
        raise refuse_field("expires_at", "invalid", message)
    if not now < moment <= LATEST_END:
        raise refuse_field(
            "expires_at", "out_of_range", "must lie ahead, and before the year 3000."
        )
    return moment


def _missing(name: str) -> FieldError:
    return FieldError(name, "missing", "is required.")
