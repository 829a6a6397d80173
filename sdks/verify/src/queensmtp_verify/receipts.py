"""Receipts: one entry and its proof, as C2SP `tlog-proof`, whose extra data is the entry."""

import json
from dataclasses import dataclass
from typing import Any

from queensmtp_verify.entries import canonical
from queensmtp_verify.findings import Malformed
from queensmtp_verify.notes import is_number, read_bytes, read_hash
from queensmtp_verify.tree import LONGEST_PROOF

FIRST_LINE = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Receipt:
    entry: dict[str, Any]
    leaf_data: str
    leaf_index: int
    hashes: list[bytes]
    note: str


def read_receipt(text: str) -> Receipt:
    head, separator, note = text.partition("\n\n")
    first, extra, index, *hashes = [*head.split("\n"), "", ""]
    hashes = hashes[: len(head.split("\n")) - 3]
    if not separator or first != FIRST_LINE:
        raise Malformed("this is no tlog-proof")
    if not extra.startswith("extra ") or not index.startswith("index "):
        raise Malformed("a receipt has the entry as its extra data, and an index")
    if not is_number(index.removeprefix("index ")) or len(hashes) > LONGEST_PROOF:
        raise Malformed("the index is no number, or the proof is too long")
    entry, leaf_data = _extra(extra.removeprefix("extra "))
    return Receipt(
        entry=entry,
        leaf_data=leaf_data,
        leaf_index=int(index.removeprefix("index ")),
        hashes=[read_hash(line) for line in hashes],
        note=note,
    )


def _extra(encoded: str) -> tuple[dict[str, Any], str]:
    data = read_bytes(encoded)
    try:
        body = json.loads(data)
        entry, leaf_data = body["entry"], body["leaf_data"]
    except (ValueError, KeyError, TypeError):
        raise Malformed("the extra data is not an entry and its leaf data") from None
    if len(body) != 2 or canonical(body) != data:
        raise Malformed("the extra data is not in canonical JSON, or holds more than an entry")
    if not isinstance(entry, dict) or not isinstance(leaf_data, str):
        raise Malformed("the extra data is not an entry and its leaf data")
    return entry, leaf_data
