"""Reads a JSON request body, strictly (`threats.md` C10).

Refused: anything but UTF-8, NaN and infinities, lone surrogates, depth over 100, lists and
objects without end, names given twice. An empty body is an empty object, since Node's client
sends none where it has no fields.
"""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

import orjson

from queensmtp.errors import MalformedRequest

MAXIMUM_DEPTH = 100
# Each list or object costs a hundred times its bytes, twice; brackets inside texts count too,
# and there is room for those of any e-mail.
MAXIMUM_BRACKETS = 500_000


def read(body: bytes) -> Any:
    """The parsed body; MalformedRequest says what is wrong and where."""
    if not body:
        return {}
    if body.count(b"[") + body.count(b"{") > MAXIMUM_BRACKETS:
        raise MalformedRequest("The request body holds too many lists and objects.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedRequest(f"The request body is not valid JSON: {error}.") from None
    if _depth_of(value) > MAXIMUM_DEPTH:
        raise MalformedRequest(f"The request body is nested deeper than {MAXIMUM_DEPTH} levels.")
    return json.loads(body, object_pairs_hook=_without_repeats)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        repeated = next(name for name, count in counts.items() if count > 1)
        raise MalformedRequest(f"The request body gives `{repeated[:100]}` twice.")
    return found


def _depth_of(value: Any) -> int:
    """How deeply lists and objects are nested, without recursion."""
    depth, level = 1, [value]
    while level := [child for one in level for child in _children(one)]:
        depth += 1
    return depth


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
