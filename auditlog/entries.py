"""What one audit entry says, and the leaf that proves it.

A leaf is SHA-256(0x00 || JCS(plain fields)). Personal fields enter it only through
``private_hash`` = SHA-256(salt || JCS(personal fields)), so a person's data can be erased while
event, time, outcome and proof stay. ``docs/auditlog.md`` documents both sets of fields.
"""

import json
import secrets
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, lru_cache
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from typing import Any, Protocol
from uuid import UUID

from auditlog import canonical, merkle
from queensmtp.actors import Actor, Target
from queensmtp.ids import new_id
from queensmtp.redaction import without_secrets
from queensmtp.tenancy import PLATFORM_ACCOUNT_ID

VERSION = 1
SALT_SIZE = 16
OUTCOMES = ("allowed", "refused", "failed")
# An event whose verb is one of these is an ordinary read: the default view hides it, and it does
# not wait for the disk. A read of personal data takes another verb.
ORDINARY_READS = frozenset({"read", "listed"})
# Header values come from strangers: enough to recognise a client, not enough to fill a disk.
LONGEST_HEADER = 512

ENTRY_TABLE = "auditlog_entry"
PENDING_TABLE = "auditlog_pending"

_COLUMNS = {
    "id": "uuid",
    "account_id": "uuid",
    "created_at": "timestamptz",
    "version": "smallint",
    "event": "text",
    "outcome": "text",
    "actor_type": "text",
    "actor_id": "text",
    "key_id": "uuid",
    "request_id": "text",
    "target_type": "text",
    "target_id": "text",
    "labels": "jsonb",
    "count": "integer",
    "private_hash": "bytea",
    "salt": "bytea",
    "actor_label": "text",
    "target_label": "text",
    "ip": "inet",
    "user_agent": "text",
    "client_request_id": "text",
    "changes": "jsonb",
    "ordinary_read": "boolean",
}


class Recorded(Protocol):
    """The fields that an entry is made of, whether just built or read from the table.

    An export reads ids and times as the texts that they are written as.
    """

    @property
    def id(self) -> UUID | str: ...
    @property
    def account_id(self) -> UUID | str: ...
    @property
    def created_at(self) -> datetime | str: ...
    @property
    def version(self) -> int: ...
    @property
    def event(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def actor_type(self) -> str: ...
    @property
    def actor_id(self) -> str: ...
    @property
    def key_id(self) -> UUID | str | None: ...
    @property
    def request_id(self) -> str: ...
    @property
    def target_type(self) -> str: ...
    @property
    def target_id(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def count(self) -> int: ...


class Personal(Protocol):
    """The fields of an entry that can be erased."""

    @property
    def actor_label(self) -> str: ...
    @property
    def target_label(self) -> str: ...
    @property
    def ip(self) -> str | None: ...
    @property
    def user_agent(self) -> str: ...
    @property
    def client_request_id(self) -> str: ...
    @property
    def changes(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it will be inserted, with its leaf hash."""

    id: UUID
    account_id: UUID
    created_at: datetime
    version: int
    event: str
    outcome: str
    actor_type: str
    actor_id: str
    key_id: UUID | None
    request_id: str
    target_type: str
    target_id: str
    labels: Mapping[str, str]
    count: int
    private_hash: bytes
    salt: bytes
    actor_label: str
    target_label: str
    ip: str | None
    user_agent: str
    client_request_id: str
    changes: Mapping[str, Any]
    ordinary_read: bool

    @property
    def leaf_hash(self) -> bytes:
        return merkle.leaf_hash(leaf_data(self, self.private_hash))

    def params(self) -> list[Any]:
        """Return the values for the placeholders of ``insert_ctes``, in their order."""
        values = {name: getattr(self, name) for name in _COLUMNS}
        values["labels"] = json.dumps(self.labels)
        values["changes"] = json.dumps(self.changes)
        return [*values.values(), self.leaf_hash]


@dataclass(frozen=True, slots=True)
class _Personal:
    actor_label: str
    target_label: str
    ip: str | None
    user_agent: str
    client_request_id: str
    changes: Mapping[str, Any]


def build(
    *,
    by: Actor,
    event: str,
    target: Target | None = None,
    outcome: str = "allowed",
    changes: Mapping[str, Any] | None = None,
    count: int = 1,
    at: datetime | None = None,
) -> Entry:
    """Make an entry. It takes whatever strangers sent, so that no hostile text goes unrecorded."""
    if outcome not in OUTCOMES:
        raise ValueError(f"{outcome!r} is not one of {', '.join(OUTCOMES)}")
    target = target or Target(type="", id="")
    personal = _personal(by, target, {**(changes or {}), **by.remarks})
    salt = secrets.token_bytes(SALT_SIZE)
    return Entry(
        id=new_id(),
        account_id=by.account_id or PLATFORM_ACCOUNT_ID,
        created_at=(at or datetime.now(UTC)).astimezone(UTC),
        version=VERSION,
        event=str(event),
        outcome=outcome,
        actor_type=by.type,
        actor_id=_storable(by.id),
        key_id=by.key_id,
        request_id=_storable(by.origin.request_id),
        target_type=target.type,
        target_id=_storable(target.id),
        labels={_storable(name): _storable(value) for name, value in by.labels.items()},
        count=count,
        private_hash=private_hash(personal, salt),
        salt=salt,
        actor_label=personal.actor_label,
        target_label=personal.target_label,
        ip=personal.ip,
        user_agent=personal.user_agent,
        client_request_id=personal.client_request_id,
        changes=personal.changes,
        ordinary_read=is_ordinary_read(event, outcome),
    )


def is_ordinary_read(event: str, outcome: str) -> bool:
    return outcome == "allowed" and event.rpartition(".")[2] in ORDINARY_READS


def leaf_data(entry: Recorded, committed: bytes) -> bytes:
    """Return the exact bytes that the leaf hashes; ``committed`` is the private hash."""
    return canonical.encode(
        {
            "version": entry.version,
            "id": str(entry.id),
            "account_id": str(entry.account_id),
            "created_at": _moment(entry.created_at),
            "event": entry.event,
            "outcome": entry.outcome,
            "actor": {"type": entry.actor_type, "id": entry.actor_id},
            "key_id": str(entry.key_id) if entry.key_id else None,
            "request_id": entry.request_id,
            "target": _target(entry),
            "labels": entry.labels,
            "count": entry.count,
            "private_hash": b64encode(committed).decode(),
        }
    )


def private_hash(personal: Personal, salt: bytes) -> bytes:
    """Return the commitment to the personal fields."""
    fields = {
        "actor_label": personal.actor_label,
        "target_label": personal.target_label,
        "ip": _address(personal.ip),
        "user_agent": personal.user_agent,
        "client_request_id": personal.client_request_id,
        "changes": personal.changes,
    }
    return sha256(salt + canonical.encode(fields)).digest()


def has_personal_data(personal: Personal) -> bool:
    """Tell whether any field stands that an erasure empties."""
    texts = (
        personal.actor_label,
        personal.target_label,
        personal.user_agent,
        personal.client_request_id,
    )
    return any(texts) or personal.ip is not None or personal.changes != {}


def rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@cache
def insert_ctes(source: str) -> str:
    """Return the CTEs that insert an entry and its pending leaf, once per row of ``source``.

    They go into any statement of one row, so that the entry stands or falls with what it records.
    The text is constant for each source; the placeholders are ``Entry.params()``.
    """
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    values = ", ".join(f"%s::{kind}" for kind in _COLUMNS.values())
    return (
        f"audit_entry AS (INSERT INTO {ENTRY_TABLE} ({names}) SELECT {values} FROM {source}"
        " RETURNING id, account_id), "
        f"audit_pending AS (INSERT INTO {PENDING_TABLE} (entry_id, account_id, leaf_hash)"
        " SELECT id, account_id, %s::bytea FROM audit_entry)"
    )


@cache
def insert_many_ctes(source: str) -> str:
    """The same for many entries, one for each row of ``source`` whose id is its target's.

    The placeholders are ``many_params``.
    """
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    columns = ", ".join(f'one."{name}"' for name in _COLUMNS)
    arrays = ", ".join(_array(kind) for kind in _COLUMNS.values())
    return (
        f"audit_entry AS (INSERT INTO {ENTRY_TABLE} ({names}) SELECT {columns} FROM {source}"
        f" JOIN unnest(%s::uuid[], {arrays}) AS one (source_id, {names})"
        f" ON one.source_id = {source}.id RETURNING id, account_id), "
        f"audit_pending AS (INSERT INTO {PENDING_TABLE} (entry_id, account_id, leaf_hash)"
        " SELECT audit_entry.id, audit_entry.account_id, one.leaf_hash FROM audit_entry"
        " JOIN unnest(%s::uuid[], %b::bytea[]) AS one (id, leaf_hash)"
        " ON one.id = audit_entry.id)"
    )


def many_params(by_source: Sequence[tuple[UUID, Entry]]) -> list[Any]:
    """Return the values for ``insert_many_ctes``, each entry with the id of its source's row."""
    rows = [entry.params() for _, entry in by_source]
    *columns, hashes = map(list, zip(*rows, strict=True))
    sources, ids = [one for one, _ in by_source], [entry.id for _, entry in by_source]
    return [sources, *columns, ids, hashes]


def _array(kind: str) -> str:
    """Bytes as they are, and not as text."""
    return f"%b::{kind}[]" if kind == "bytea" else f"%s::{kind}[]"


def _moment(written: datetime | str) -> str:
    return written if isinstance(written, str) else rfc3339(written)


def _target(entry: Recorded) -> dict[str, str] | None:
    if not entry.target_type:
        return None
    return {"type": entry.target_type, "id": entry.target_id}


def _personal(by: Actor, target: Target, changes: Mapping[str, Any]) -> _Personal:
    return _Personal(
        actor_label=_storable(by.label),
        target_label=_storable(target.label),
        ip=_address(by.origin.ip),
        user_agent=_storable(by.origin.user_agent)[:LONGEST_HEADER],
        client_request_id=_storable(by.origin.client_request_id)[:LONGEST_HEADER],
        changes=_plain(changes),
    )


def _plain(value: Any) -> Any:
    """Return the value as JSON that survives Postgres and JCS unchanged.

    jsonb rewrites numbers with a fraction or an exponent, so only safe integers stay numbers.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= canonical.LARGEST_INTEGER:
        return int(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Mapping):
        return {_storable(str(name)): _plain(inner) for name, inner in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(map(_storable, map(str, value)))
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [_plain(inner) for inner in value]
    return _storable(str(value))


def _storable(text: str) -> str:
    """Replace what must not be kept, and what neither Postgres nor UTF-8 can hold.

    That is: API keys and signing secrets; NUL and lone surrogates.
    """
    text = without_secrets(text)
    if text.isprintable():
        return text
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


@lru_cache(maxsize=4096)
def _address(text: str | None) -> str | None:
    """Return one spelling per address, whatever Python or Postgres would choose."""
    if text is None:
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or IPv6Address(int(address))
    return str(address)
