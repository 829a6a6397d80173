"""Writes the lines of an export. `docs/auditlog.md` documents both forms.

CSV is RFC 4180, and no cell of it is a formula to a spreadsheet. JSON Lines is exact.
"""

import csv
import io
import json
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from auditlog import entries, serializers
from auditlog.models import Entry

VERSION = 1
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


@dataclass(frozen=True, slots=True)
class Row:
    """An entry, its place, and its path to the root when proofs are wanted."""

    entry: Entry
    leaf_index: int
    hashes: list[bytes] | None = None


class Lines(Protocol):
    """One form of the file: what stands before the entries, for each of them, and after them."""

    def begin(self, header: dict[str, Any]) -> bytes: ...
    def rows(self, rows: Iterable[Row]) -> bytes: ...
    def end(self, row_count: int) -> bytes: ...


class JsonLines:
    def begin(self, header: dict[str, Any]) -> bytes:
        return _line({"object": "audit_export", "version": VERSION, **header})

    def rows(self, rows: Iterable[Row]) -> bytes:
        return b"".join(_line(_body(row)) for row in rows)

    def end(self, row_count: int) -> bytes:
        return _line({"object": "audit_export_end", "rows": row_count})


class Csv:
    def __init__(self, *, proofs: bool) -> None:
        self.proofs = proofs

    def begin(self, header: dict[str, Any]) -> bytes:
        return _csv([[*CSV_COLUMNS, *(CSV_PROOF_COLUMNS if self.proofs else ())]])

    def rows(self, rows: Iterable[Row]) -> bytes:
        return _csv(_cells(row) for row in rows)

    def end(self, row_count: int) -> bytes:
        return b""


def of_format(format: str, *, proofs: bool) -> Lines:
    return Csv(proofs=proofs) if format == "csv" else JsonLines()


def neutral(cell: str) -> str:
    """Return the text with an apostrophe before it where a spreadsheet would calculate with it."""
    begins = cell.lstrip(" \u00a0\ufeff")[:1]
    risky = cell[:1] in _FORMULA_STARTS or begins in (*_FORMULA_STARTS, *_FULL_WIDTH_STARTS)
    return f"'{cell}" if cell and risky else cell


def _line(value: dict[str, Any]) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def _body(row: Row) -> dict[str, Any]:
    body = serializers.entry_with_salt_body(row.entry, leaf_index=row.leaf_index)
    if row.hashes is not None:
        body["leaf_data"] = row.entry.leaf_data().decode()
        body["hashes"] = [b64encode(one).decode() for one in row.hashes]
    return body


def _cells(row: Row) -> list[str]:
    entry = row.entry
    cells = [
        str(row.leaf_index),
        str(entry.id),
        entries.rfc3339(entry.created_at),
        entry.event,
        entry.outcome,
        entry.actor_type,
        neutral(entry.actor_id),
        neutral(entry.actor_label),
        str(entry.key_id or ""),
        entry.ip or "",
        neutral(entry.user_agent),
        neutral(entry.request_id),
        neutral(entry.client_request_id),
        neutral(entry.target_type),
        neutral(entry.target_id),
        neutral(entry.target_label),
        _json(entry.labels),
        str(entry.count),
        _json(entry.changes),
    ]
    if row.hashes is not None:
        # In hexadecimal: base64 may begin with a plus.
        cells.append("" if entry.salt is None else bytes(entry.salt).hex())
        cells.append(entry.leaf_data().decode())
        cells.append(" ".join(one.hex() for one in row.hashes))
    return cells


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _csv(rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()
