"""JSON Schema from an example, so that what is documented cannot be two different things. Pure.

Every field of the example is required unless it is named as optional, may be null where the example
is null or where it is named as nullable, and further fields may come with later versions.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

Schema = dict[str, Any]


class AnyNames(dict[str, Any]):
    """In an example: an object whose names the user chose, with values like these."""


UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


def schema_of(
    example: Any, *, optional: Collection[str] = (), nullable: Collection[str] = (), path: str = ""
) -> Schema:
    """`optional` and `nullable` hold dotted paths; those of list items are those of the list."""
    schema = _plain(example, optional, nullable, path)
    if path in nullable and "type" in schema:
        schema["type"] = [schema["type"], "null"]
    return schema


def _plain(example: Any, optional: Collection[str], nullable: Collection[str], path: str) -> Schema:
    if isinstance(example, AnyNames):
        value = next(iter(example.values()))
        return {"type": "object", "additionalProperties": schema_of(value)}
    if isinstance(example, Mapping):
        return _object(example, optional, nullable, path)
    if isinstance(example, Sequence) and not isinstance(example, str):
        items = (
            schema_of(example[0], optional=optional, nullable=nullable, path=path + "[]")
            if example
            else {}
        )
        return {"type": "array", "items": items}
    if isinstance(example, str):
        return {"type": "string", **_format(example)}
    if isinstance(example, bool):
        return {"type": "boolean"}
    if isinstance(example, int):
        return {"type": "integer"}
    if isinstance(example, float):
        return {"type": "number"}
    # Null tells that there may be nothing, and not what there may be.
    return {}


def _object(
    example: Mapping[str, Any], optional: Collection[str], nullable: Collection[str], path: str
) -> Schema:
    paths = {name: f"{path}.{name}".lstrip(".") for name in example}
    return {
        "type": "object",
        "properties": {
            name: schema_of(value, optional=optional, nullable=nullable, path=paths[name])
            for name, value in example.items()
        },
        "required": [name for name in example if paths[name] not in optional],
    }


def _format(text: str) -> Schema:
    if UUID.fullmatch(text):
        return {"format": "uuid"}
    if TIME.fullmatch(text):
        return {"format": "date-time"}
    return {}
