"""Writes the lines of an export. `docs/auditlog.md` documents both forms.

CSV is RFC 4180, and no cell of it is a formula to a spreadsheet. JSON Lines is exact.
"""

import csv
import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import orjson

from auditlog import export_rows
from auditlog.export_rows import Record
from auditlog.paths import Paths

VERSION = 1
LINE_END = "\r\n"
CSV_COLUMNS = (
    "leaf_index",
    "id",
    "created_at",
    "event",
    "outcome",
    "actor_type",
    "actor_id",
    "actor_label",
    "key_id",
    "ip",
    "user_agent",
    "request_id",
    "client_request_id",
    "target_type",
    "target_id",
    "target_label",
    "labels",
    "count",
    "changes",
)
CSV_PROOF_COLUMNS = ("salt", "leaf_data", "hashes")
# What makes a cell a formula (CWE-1236); full-width twins too, which some spreadsheets fold.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_FULL_WIDTH_STARTS = ("\uff1d", "\uff0b", "\uff0d", "\uff20")


class Lines(Protocol):
    """One form of the file: what stands before the entries, for each of them, and after them.

    With paths each entry gets its leaf and its path to the root.
    """

    def begin(self, header: dict[str, Any]) -> bytes: ...
    def rows(self, rows: Sequence[Record], paths: Paths | None) -> bytes: ...
    def end(self, row_count: int) -> bytes: ...


class JsonLines:
    def begin(self, header: dict[str, Any]) -> bytes:
        return _line({"object": "audit_export", "version": VERSION, **header})

    def rows(self, rows: Sequence[Record], paths: Paths | None) -> bytes:
        if paths is None:
            return b"".join([_line(_body(row)) for row in rows])
        return b"".join([_line(_proven(row, paths[row.leaf_index])) for row in rows])

    def end(self, row_count: int) -> bytes:
        return _line({"object": "audit_export_end", "rows": row_count})


class Csv:
    def __init__(self, *, proofs: bool) -> None:
        self.proofs = proofs

    def begin(self, header: dict[str, Any]) -> bytes:
        columns = [*CSV_COLUMNS, *(CSV_PROOF_COLUMNS if self.proofs else ())]
        return "".join(_csv([columns])).encode()

    def rows(self, rows: Sequence[Record], paths: Paths | None) -> bytes:
        lines = _csv(map(_cells, rows))
        if paths is not None:
            proven = zip(lines, rows, strict=True)
            lines = [_with_proof(line, row, paths[row.leaf_index]) for line, row in proven]
        return "".join(lines).encode()

    def end(self, row_count: int) -> bytes:
        return b""


def of_format(format: str, *, proofs: bool) -> Lines:
    return Csv(proofs=proofs) if format == "csv" else JsonLines()


def neutral(cell: str) -> str:
    """Return the text with an apostrophe before it where a spreadsheet would calculate with it."""
    if cell[:1].isalnum():
        return cell
    begins = cell.lstrip(" \u00a0\ufeff")[:1]
    risky = cell[:1] in _FORMULA_STARTS or begins in (*_FORMULA_STARTS, *_FULL_WIDTH_STARTS)
    return f"'{cell}" if cell and risky else cell


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def _body(row: Record) -> dict[str, Any]:
    """Return what `serializers.entry_with_salt_body` does, made of texts."""
    return {
        "object": "audit_entry",
        "id": row.id,
        "leaf_index": row.leaf_index,
        "created_at": row.created_at,
        "event": row.event,
        "outcome": row.outcome,
        "actor": {"type": row.actor_type, "id": row.actor_id, "label": row.actor_label},
        "key_id": row.key_id,
        "ip": row.ip,
        "user_agent": row.user_agent,
        "request_id": row.request_id,
        "client_request_id": row.client_request_id,
        "target": _target(row),
        "changes": export_rows.loaded(row.changes_text),
        "labels": row.labels,
        "count": row.count,
        "salt": None if row.salt is None else b64encode(row.salt).decode(),
    }


def _target(row: Record) -> dict[str, str] | None:
    if not row.target_type:
        return None
    return {"type": row.target_type, "id": row.target_id, "label": row.target_label}


def _proven(row: Record, path: Sequence[bytes]) -> dict[str, Any]:
    leaf_data = row.leaf_data().decode()
    return {**_body(row), "leaf_data": leaf_data, "hashes": list(map(_base64, path))}


def _cells(row: Record) -> list[str]:
    return [
        str(row.leaf_index),
        row.id,
        row.created_at,
        row.event,
        row.outcome,
        row.actor_type,
        neutral(row.actor_id),
        neutral(row.actor_label),
        row.key_id or "",
        row.ip or "",
        neutral(row.user_agent),
        neutral(row.request_id),
        neutral(row.client_request_id),
        neutral(row.target_type),
        neutral(row.target_id),
        neutral(row.target_label),
        _json(row.labels_text),
        str(row.count),
        _json(row.changes_text),
    ]


def _with_proof(line: str, row: Record, path: Sequence[bytes]) -> str:
    """Add the last three cells: nothing of them needs a look, and csv would look at each letter."""
    salt = "" if row.salt is None else row.salt.hex()
    leaf_data = row.leaf_data().decode().replace('"', '""')
    # In hexadecimal: base64 may begin with a plus.
    hashes = " ".join(map(bytes.hex, path))
    return f'{line.removesuffix(LINE_END)},{salt},"{leaf_data}",{hashes}{LINE_END}'


# Most nodes of the tree are in the paths of many leaves.
@lru_cache(maxsize=4096)
def _base64(node: bytes) -> str:
    return b64encode(node).decode()


@lru_cache(maxsize=1024)
def _json(text: str) -> str:
    value = json.loads(text)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _csv(rows: Iterable[Sequence[str]]) -> list[str]:
    """Return each line, whatever line breaks its cells hold."""
    lines: list[str] = []
    csv.writer(_Written(lines.append), lineterminator=LINE_END).writerows(rows)
    return lines


@dataclass(frozen=True, slots=True)
class _Written:
    write: Callable[[str], object]
