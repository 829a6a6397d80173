"""Messages as text to take along: a CSV of many, the raw form of one."""

import io
from collections.abc import Iterable

from defusedcsv import csv

from queensmtp.crypto import CannotDecrypt
from queensmtp.errors import PermanentFailure
from sending import letters, mime
from sending.message_rows import Row
from sending.models import Message

COLUMNS = (
    *("id", "created_at", "scheduled_at", "status", "from", "to", "recipients", "subject"),
    *("environment", "via", "key_id", "tags", "size", "message_id"),
)


def csv_of(rows: Iterable[Row]) -> str:
    """RFC 4180, with what a spreadsheet would run made harmless; times are RFC 3339 in UTC."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow(_values(row))
    return written.getvalue()


def raw_of(message: Message) -> str:
    """The message as it was built to be sent, without its signatures; '' when it is gone."""
    try:
        sealed = letters.opened(message)
    except (PermanentFailure, CannotDecrypt):
        return ""
    return mime.build(letters.content_to_send(message, sealed)).decode("utf-8", "replace")


def _values(row: Row) -> list[str]:
    message = row.message
    scheduled_at = message.scheduled_at
    return [
        str(message.pk),
        message.created_at.isoformat(),
        scheduled_at.isoformat() if scheduled_at else "",
        row.status,
        message.sender,
        ", ".join(message.to),
        ", ".join(f"{one.address} {one.state}" for one in row.recipients),
        message.subject,
        message.environment,
        message.via,
        str(message.key_id or ""),
        ", ".join(f"{tag['name']}={tag['value']}" for tag in message.tags),
        str(message.size),
        f"<{message.message_id}>",
    ]
