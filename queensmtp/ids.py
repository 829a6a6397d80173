"""Identifiers: UUIDv7 (RFC 9562, section 5.7), time-ordered, made in Python.

The primary key is also the cursor of lists and the partition key of large tables.
"""

import uuid
from datetime import UTC, datetime

from uuid_utils.compat import uuid7


def new_id() -> uuid.UUID:
    """A new identifier; later calls sort after earlier ones within this process."""
    return uuid7()


def timestamp_of(identifier: uuid.UUID) -> datetime:
    """The millisecond in which a UUIDv7 was made, in UTC."""
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, tz=UTC)


def lowest_id_at(moment: datetime) -> uuid.UUID:
    """No UUIDv7 of this millisecond or a later one sorts before it."""
    return uuid.UUID(int=(int(moment.timestamp() * 1000) << 80) | (0x7 << 76) | (0b10 << 62))


def find_id(text: str) -> uuid.UUID | None:
    """The id that `text` spells in its canonical form, or None."""
    try:
        parsed = uuid.UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text.lower() else None
