"""Reads the short queries and the bodies of the log's endpoints. Unknown names are refused."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from auditlog.filters import CURSOR_NAMES
from queensmtp.errors import FieldError, MalformedRequest, MissingField, refuse_field
from queensmtp.ids import find_id

# Larger numbers do not fit the columns they are compared with.
LARGEST_SIZE = 2**63 - 1


def refuse_unknown(query: Mapping[str, Any], *, known: frozenset[str]) -> None:
    for name in query:
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none"
            raise refuse_field(
                name[:64], "unknown_field", f"there is no such parameter; known: {allowed}."
            )


def find_number(query: Mapping[str, str], name: str) -> int | None:
    """Return a whole number, or None when the query does not give it."""
    text = query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= LARGEST_SIZE):
        raise refuse_field(name, "invalid", "give a whole number.")
    return int(text)


def get_number(query: Mapping[str, str], name: str) -> int:
    number = find_number(query, name)
    if number is None:
        raise missing(name)
    return number


def find_entry_id(query: Mapping[str, str], name: str) -> UUID | None:
    text = query.get(name)
    if text is None:
        return None
    found = find_id(text)
    if found is None:
        raise refuse_field(name, "invalid", "give an entry's id, a UUID.")
    return found


def missing(name: str) -> MissingField:
    message = f"Missing `{name}`."
    return MissingField(message, errors=[FieldError(name, "missing", message)])


def body_of(data: Any) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise MalformedRequest("The request body must be a JSON object.")
    return data


def find_text(body: Mapping[str, Any], name: str) -> str:
    """Return a text, empty when the body does not give it."""
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or "\x00" in value or not _is_unicode(value):
        raise refuse_field(name, "invalid", "give a text.")
    return value


def find_switch(body: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise refuse_field(name, "invalid", "give true or false.")
    return value


def filters_in(body: Mapping[str, Any]) -> dict[str, list[str]]:
    """Read the list's filters as a body gives them into what its query would be."""
    return {name: _values(name, value) for name, value in body.items() if value is not None}


def _values(name: str, value: Any) -> list[str]:
    if name in CURSOR_NAMES:
        raise refuse_field(name, "unknown_field", "there are no pages here; it is about all.")
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, str) and _is_unicode(value):
        return [value]
    if name == "event" and isinstance(value, list) and all(isinstance(one, str) for one in value):
        return value
    raise refuse_field(name[:64], "invalid", "give a text, as in the list's query.")


def _is_unicode(text: str) -> bool:
    """Whether it holds no half of a surrogate pair, which no database can store."""
    return not any("\ud800" <= one <= "\udfff" for one in text)
