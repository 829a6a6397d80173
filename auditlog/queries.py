"""Reads the short queries of the checkpoint and proof endpoints. Unknown names are refused."""

from collections.abc import Mapping
from uuid import UUID

from queensmtp.errors import FieldError, MissingField, refuse_field
from queensmtp.ids import find_id

# Larger numbers do not fit the columns they are compared with.
LARGEST_SIZE = 2**63 - 1


def refuse_unknown(query: Mapping[str, str], *, known: frozenset[str]) -> None:
    for name in query:
        if name not in known:
            allowed = ", ".join(sorted(known)) or "none"
            raise refuse_field(
                name, "unknown_field", f"there is no such parameter; known: {allowed}."
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
