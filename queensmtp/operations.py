"""How an app tells what a call of its API takes and answers: by example. Pure.

Each app has a table `OPERATIONS` in its `openapi.py`, from `"POST /v1/webhooks"` to an `Operation`.
Scopes, the errors that every call may answer with and the parameters of the path are not written
there: they come from the route and its view. Schemas come from the examples.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"

CURSORS: Mapping[str, str] = {
    "limit": "How many items, 1 to 100.",
    "after": "An id; the page begins after it, with older items.",
    "before": "An id; the page ends before it, with newer items.",
}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One method of one path."""

    summary: str
    # The answer to a call that went well, and its status.
    answer: Any = None
    status: int = 200
    # What the caller sends, as JSON; None where a body has no meaning.
    body: Any = None
    # Dotted paths (`queensmtp.shapes`) in the body that may be left out, and in the answer.
    optional: Collection[str] = ()
    optional_in_answer: Collection[str] = ()
    # Dotted paths that may be null, in both.
    nullable: Collection[str] = ()
    # Names of query parameters and request headers, each with its sentence.
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    # Beyond those that every call may answer with.
    errors: Collection[int] = ()
    # Where the answer is no JSON: its type.
    media_type: str = JSON
    # Only for a plain view, which cannot say it itself.
    scope: str = ""


def listed(*items: Any, has_more: bool = False) -> dict[str, Any]:
    """The example of a list (wire contract 1.3)."""
    return {"object": "list", "has_more": has_more, "data": list(items)}
