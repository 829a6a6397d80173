"""From an entry, as the API shows it, to the leaf that the tree holds."""

import json
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from queensmtp_verify.findings import Malformed
from queensmtp_verify.notes import read_bytes

# The version of the entry's fields that is known here.
VERSION = 1

# Every field of an entry, and the two that a proof adds. A name that is not among them would be
# believed by a reader and checked by nobody.
FIELDS = frozenset(
    {
        *("object", "id", "leaf_index", "created_at", "event", "outcome", "actor", "key_id", "ip"),
        *("user_agent", "request_id", "client_request_id", "target", "changes", "labels", "count"),
        "salt",
    }
)
PROOF_FIELDS = frozenset({"leaf_data", "hashes"})
NAMED = frozenset({"type", "id", "label"})

Record = Mapping[str, Any]


def canonical(value: Any) -> bytes:
    """Return RFC 8785 canonical JSON of what entries are made of: no fractions are among it."""
    return json.dumps(_ordered(value), ensure_ascii=False, separators=(",", ":")).encode()


def _ordered(value: Any) -> Any:
    if isinstance(value, float):
        raise Malformed("an entry holds no fractions")
    if isinstance(value, dict):
        return {name: _ordered(value[name]) for name in _sorted(value)}
    if isinstance(value, list):
        return [_ordered(each) for each in value]
    return value


def _sorted(names: Iterable[str]) -> list[str]:
    # RFC 8785 3.2.3: by UTF-16 code units, which differs from code points only above U+FFFF.
    if all(map(str.isascii, names)):
        return sorted(names)
    return sorted(names, key=lambda name: name.encode("utf-16-be", "surrogatepass"))


def committed_hash(entry: Record) -> bytes | None:
    """Return the commitment to the personal fields; None when they were erased."""
    if entry["salt"] is None:
        return None
    target = entry["target"]
    personal = {
        "actor_label": entry["actor"]["label"],
        "target_label": target["label"] if target else "",
        "ip": entry["ip"],
        "user_agent": entry["user_agent"],
        "client_request_id": entry["client_request_id"],
        "changes": entry["changes"],
    }
    return sha256(read_bytes(entry["salt"]) + canonical(personal)).digest()


def plain_fields(entry: Record, account_id: str) -> dict[str, Any]:
    """Return what the leaf says of an entry, all but the commitment."""
    target = entry["target"]
    return {
        "version": VERSION,
        "id": entry["id"],
        "account_id": account_id,
        "created_at": entry["created_at"],
        "event": entry["event"],
        "outcome": entry["outcome"],
        "actor": {"type": entry["actor"]["type"], "id": entry["actor"]["id"]},
        "key_id": entry["key_id"],
        "request_id": entry["request_id"],
        "target": {"type": target["type"], "id": target["id"]} if target else None,
        "labels": entry["labels"],
        "count": entry["count"],
    }


def leaf_data(entry: Record, account_id: str) -> bytes | None:
    """Return the leaf's bytes, made from the entry alone; None when its commitment is erased."""
    committed = committed_hash(entry)
    if committed is None:
        return None
    fields = plain_fields(entry, account_id)
    return canonical({**fields, "private_hash": b64encode(committed).decode()})


def misshapen(entry: Record, leaf_index: int) -> str | None:
    """Say what keeps an entry from being one, before its values are looked at."""
    if set(entry) - PROOF_FIELDS != FIELDS:
        odd = ", ".join(sorted(map(str, (set(entry) - PROOF_FIELDS) ^ FIELDS)))
        return f"its fields are not those of an entry: {odd}"
    target = entry["target"]
    if set(entry["actor"]) != NAMED or (target is not None and set(target) != NAMED):
        return "its actor or its target has other fields than type, id and label"
    if entry["object"] != "audit_entry" or entry["leaf_index"] != leaf_index:
        return "it calls itself something else, or another leaf"
    return None


def differences(entry: Record, account_id: str, data: str) -> Iterator[str]:
    """Yield a sentence for each field of which the entry and its leaf's bytes disagree."""
    if leaf_data(entry, account_id) == data.encode():
        return
    stated = json.loads(data)
    if not isinstance(stated, dict) or canonical(stated) != data.encode():
        yield "its leaf data is not canonical JSON"
        return
    shown = plain_fields(entry, account_id)
    for name in sorted({*shown, *stated} - {"private_hash"}):
        if name not in stated or name not in shown or not _is_same(shown[name], stated[name]):
            yield f"`{name}` is not what the leaf says"
    committed = committed_hash(entry)
    if committed is not None and b64encode(committed).decode() != stated.get("private_hash"):
        yield "its personal fields are not those that were committed to"


def _is_same(one: Any, other: Any) -> bool:
    # In Python 1 == True, and in JSON they differ.
    return canonical(one) == canonical(other)
