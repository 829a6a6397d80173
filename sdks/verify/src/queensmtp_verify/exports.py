"""Reads exports of an audit log, as JSON Lines or CSV, an entry at a time."""

import csv
import itertools
import json
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from queensmtp_verify.findings import Malformed
from queensmtp_verify.notes import is_number, read_hash

VERSION = 1
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
FULL_WIDTH_STARTS = ("\uff1d", "\uff0b", "\uff0d", "\uff20")
# What a stranger could write, and so what an export makes harmless to spreadsheets.
FREE_TEXTS = ("actor_label", "target_label", "user_agent", "client_request_id")


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of an export. Of a CSV there may be several readings of the same cells."""

    leaf_index: int
    readings: list[dict[str, Any]]
    leaf_data: str | None
    hashes: list[bytes] | None

    @property
    def entry(self) -> dict[str, Any]:
        return self.readings[0]


@dataclass(frozen=True, slots=True)
class Header:
    account_id: str
    note: str
    size: int
    root_hash: str


class JsonLines:
    """An export in JSON Lines: a header, entries, and a last line with their number."""

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self.header = _header(_object(next(lines, "")))
        self.row_count: int | None = None

    def rows(self) -> Iterator[Row | Malformed]:
        """Yield each entry, or why a line is none: the lines after it are still worth reading."""
        for line in self._lines:
            try:
                body = _object(line)
                if body.get("object") == "audit_export_end":
                    self.row_count = body.get("rows")
                    return
                yield _row(body)
            except Malformed as error:
                yield error

    def has_more(self) -> bool:
        return next(self._lines, None) is not None


def _header(body: dict[str, Any]) -> Header:
    if body.get("object") != "audit_export" or body.get("version") != VERSION:
        raise Malformed(f"the first line is not the header of an export of version {VERSION}")
    try:
        stated = body["checkpoint"]
        return Header(body["account_id"], stated["note"], stated["size"], stated["root_hash"])
    except (KeyError, TypeError):
        raise Malformed("the header lacks its account or its checkpoint") from None


def _row(body: dict[str, Any]) -> Row:
    index = body.get("leaf_index")
    if body.get("object") != "audit_entry" or type(index) is not int:
        raise Malformed("a line is no entry with a leaf index")
    hashes = body.get("hashes")
    return Row(
        leaf_index=index,
        readings=[body],
        leaf_data=body.get("leaf_data"),
        hashes=None if hashes is None else [read_hash(each) for each in hashes],
    )


def _object(line: str) -> dict[str, Any]:
    try:
        body = json.loads(line)
    except ValueError:
        raise Malformed("a line is not JSON") from None
    if not isinstance(body, dict):
        raise Malformed("a line is not a JSON object")
    return body


def csv_rows(lines: Iterable[str]) -> Iterator[Row | Malformed]:
    """Read an export in CSV. It has no header of its own: the checkpoint comes from elsewhere."""
    reader = csv.DictReader(lines, strict=True)
    try:
        for cells in reader:
            yield _csv_row_or_why_not(cells)
    except csv.Error as error:
        yield Malformed(f"line {reader.line_num} is not CSV ({error}), nor is what follows read")


def _csv_row_or_why_not(cells: dict[str, str]) -> Row | Malformed:
    try:
        return _csv_row(cells)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Malformed(f"a row is none of an audit export ({error})")


def _csv_row(cells: dict[str, str]) -> Row:
    if not is_number(cells["leaf_index"]):
        raise Malformed(f"{cells['leaf_index']!r} is no leaf index")
    texts = [_readings(cells[name]) for name in FREE_TEXTS]
    return Row(
        leaf_index=int(cells["leaf_index"]),
        readings=[
            _entry(cells, dict(zip(FREE_TEXTS, reading, strict=True)))
            for reading in itertools.product(*texts)
        ],
        leaf_data=cells.get("leaf_data"),
        hashes=[bytes.fromhex(each) for each in cells["hashes"].split()]
        if "hashes" in cells
        else None,
    )


def _entry(cells: dict[str, str], texts: dict[str, str]) -> dict[str, Any]:
    plain = {name: _readings(cells[name])[0] for name in ("actor_id", "target_type", "target_id")}
    target = {
        "type": plain["target_type"],
        "id": plain["target_id"],
        "label": texts["target_label"],
    }
    return {
        "object": "audit_entry",
        "leaf_index": int(cells["leaf_index"]),
        "id": cells["id"],
        "created_at": cells["created_at"],
        "event": cells["event"],
        "outcome": cells["outcome"],
        "actor": {
            "type": cells["actor_type"],
            "id": plain["actor_id"],
            "label": texts["actor_label"],
        },
        "key_id": cells["key_id"] or None,
        "ip": cells["ip"] or None,
        "user_agent": texts["user_agent"],
        "request_id": _readings(cells["request_id"])[0],
        "client_request_id": texts["client_request_id"],
        "target": target if plain["target_type"] else None,
        "labels": json.loads(cells["labels"]),
        "count": int(cells["count"]),
        "changes": json.loads(cells["changes"]),
        "salt": _base64_of_hex(cells.get("salt", "")),
    }


def _readings(cell: str) -> list[str]:
    """Return what a cell may have held before it was made harmless, the likeliest first."""
    if cell.startswith("'") and _is_risky(cell[1:]):
        return [cell[1:], cell]
    return [cell]


def _is_risky(text: str) -> bool:
    begins = text.lstrip(" \u00a0\ufeff")[:1]
    return text[:1] in FORMULA_STARTS or begins in (*FORMULA_STARTS, *FULL_WIDTH_STARTS)


def _base64_of_hex(text: str) -> str | None:
    return b64encode(bytes.fromhex(text)).decode() if text else None
