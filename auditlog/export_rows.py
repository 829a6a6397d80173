"""Reads what an export holds, in leaf order, a stretch of leaves at a time: memory stays flat.

Each stretch is read for itself. One long snapshot would keep what the sealer deletes from being
vacuumed for as long as the export runs. Postgres writes ids, times and addresses as the file has
them: an object of Python for each would cost more than all the rest.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import connection

from auditlog import entries, words
from auditlog.filters import Filters
from auditlog.models import Entry, EntryQuerySet, Leaf
from auditlog.tiles import WIDTH
from queensmtp import hot

# A whole number of tiles.
STRETCH = 16 * WIDTH


class Record(NamedTuple):
    """A sealed entry as a file of an export writes it: texts, but for numbers and hashes."""

    leaf_index: int
    id: str
    account_id: str
    created_at: str
    version: int
    event: str
    outcome: str
    actor_type: str
    actor_id: str
    actor_label: str
    key_id: str | None
    ip: str | None
    user_agent: str
    request_id: str
    client_request_id: str
    target_type: str
    target_id: str
    target_label: str
    # As Postgres writes jsonb.
    labels_text: str
    changes_text: str
    count: int  # type: ignore[assignment]  # Nobody asks a record how often it holds a value.
    private_hash: bytes
    salt: bytes | None

    @property
    def labels(self) -> dict[str, str]:
        found: dict[str, str] = loaded(self.labels_text)
        return found

    def leaf_data(self) -> bytes:
        return entries.leaf_data(self, self.private_hash)


@lru_cache(maxsize=1024)
def loaded(text: str) -> Any:
    """Return the value that Postgres wrote as JSON; most of a log's repeat. Nobody changes it."""
    return orjson.loads(text)


_WRITTEN = {
    "leaf_index": "leaf_index",
    "id": "id::text",
    "account_id": "account_id::text",
    "created_at": """to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""",
    "key_id": "key_id::text",
    "ip": "host(ip)",
    "labels_text": "labels::text",
    "changes_text": "changes::text",
}

# The bounds keep Postgres out of every other partition and entry. Materialized, or it would walk
# the leaves in the order of their entries to find them.
STRETCH_OF_ENTRIES = f"""
WITH leaves AS MATERIALIZED (
    SELECT leaf_index, entry_id FROM auditlog_leaf
    WHERE account_id = %s AND leaf_index >= %s AND leaf_index < %s
)
SELECT {", ".join(_WRITTEN.get(name, f'"{name}"') for name in Record._fields)}
FROM leaves JOIN auditlog_entry ON auditlog_entry.id = leaves.entry_id
WHERE id >= (SELECT entry_id FROM leaves ORDER BY entry_id LIMIT 1)
    AND id <= (SELECT entry_id FROM leaves ORDER BY entry_id DESC LIMIT 1)
    AND {{conditions}}
ORDER BY leaf_index
"""


def count(account_id: UUID, filters: Filters, *, size: int) -> int:
    """Return how many sealed entries the filters find among the first `size` leaves."""
    leaves = Leaf.objects.filter(account_id=account_id, leaf_index__lt=size)
    found = _matching(account_id, filters).filter(id__in=leaves.values("entry_id"))
    if not filters.words:
        return found.count()
    labels = found.values_list("target_label", flat=True).iterator(STRETCH)
    return sum(words.are_in(label, filters.words) for label in labels)


def stretches(account_id: UUID, filters: Filters, *, size: int) -> Iterator[list[Record]]:
    """Yield the entries of one stretch after the other; some may be empty."""
    query, params = _query(account_id, filters)
    for first in range(0, size, STRETCH):
        past = min(first + STRETCH, size)
        rows = hot.fetch_all(query, [account_id, first, past, *params])
        found = map(Record._make, rows)
        yield [one for one in found if words.are_in(one.target_label, filters.words)]


def _query(account_id: UUID, filters: Filters) -> tuple[str, list[object]]:
    """Return the statement of a stretch, under the conditions that the list searches by."""
    found = _matching(account_id, filters).query
    conditions, params = found.get_compiler(connection=connection).compile(found.where)
    return STRETCH_OF_ENTRIES.format(conditions=conditions), list(params)


def _matching(account_id: UUID, filters: Filters) -> EntryQuerySet:
    return Entry.objects.of_account(account_id).matching(filters)
