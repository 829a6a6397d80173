"""Cursors over time-ordered ids: newest first, `after` walks to older, `before` to newer.

Wire contract 1.7: `limit` 1–100 (20 when left out); the cursor's item is excluded; both
cursors together are an error; an unknown cursor is an error, never a silent first page.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet

from queensmtp.errors import refuse_field
from queensmtp.ids import find_id

DEFAULT_LIMIT = 20
MAXIMUM_LIMIT = 100

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Which page was asked for."""

    limit: int = DEFAULT_LIMIT
    after: UUID | None = None
    before: UUID | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """One page of rows, newest first."""

    rows: list[Row]
    has_more: bool


def read_cursor(query: Mapping[str, str], *, default_limit: int = DEFAULT_LIMIT) -> Cursor:
    """The cursor that a query string asks for; 422 for anything that is not one."""
    after, before = _read_id(query, "after"), _read_id(query, "before")
    if after and before:
        raise refuse_field("after", "conflicting", "give `after` or `before`, not both.")
    return Cursor(limit=_read_limit(query, default_limit), after=after, before=before)


def page(rows: QuerySet[Row], cursor: Cursor, *, by: str = "pk") -> Page[Row]:
    """Cut one page out of a tenant's queryset; an unknown cursor is 422.

    `by` is the time-ordered id that the list shows, where that is not the primary key.
    """
    for name, position in (("after", cursor.after), ("before", cursor.before)):
        if position and not rows.filter(**{by: position}).exists():
            raise refuse_field(name, "unknown_cursor", "no item of this list has this id.")
    if cursor.before:
        newer = list(rows.filter(**{f"{by}__gt": cursor.before}).order_by(by)[: cursor.limit + 1])
        return Page(rows=newer[: cursor.limit][::-1], has_more=len(newer) > cursor.limit)
    if cursor.after:
        rows = rows.filter(**{f"{by}__lt": cursor.after})
    older = list(rows.order_by(f"-{by}")[: cursor.limit + 1])
    return Page(rows=older[: cursor.limit], has_more=len(older) > cursor.limit)


def turns(page_: Page[Row], query: Mapping[str, str], *, by: str = "pk") -> dict[str, UUID | None]:
    """The cursors of a console page's buttons, `older` and `newer`; None where nothing is left."""
    came_from_older, came_from_newer = "before" in query, "after" in query
    has_older = page_.has_more or came_from_older
    has_newer = came_from_newer or (came_from_older and page_.has_more)
    return {
        "older": getattr(page_.rows[-1], by) if page_.rows and has_older else None,
        "newer": getattr(page_.rows[0], by) if page_.rows and has_newer else None,
    }


def list_body(page_: Page[Row], render: Callable[[Row], dict[str, Any]]) -> dict[str, Any]:
    """The list shape of wire contract 1.3."""
    return {
        "object": "list",
        "has_more": page_.has_more,
        "data": [render(row) for row in page_.rows],
    }


def _read_limit(query: Mapping[str, str], default: int) -> int:
    text = query.get("limit")
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MAXIMUM_LIMIT):
        raise refuse_field("limit", "out_of_range", f"give a number from 1 to {MAXIMUM_LIMIT}.")
    return int(text)


def _read_id(query: Mapping[str, str], name: str) -> UUID | None:
    text = query.get(name)
    if text is None:
        return None
    found = find_id(text)
    if found is None:
        raise refuse_field(name, "unknown_cursor", "no item of this list has this id.")
    return found
