"""Writes entries in the words of others: ECS or OCSF, as NDJSON or as syslog messages. Pure."""

from collections.abc import Iterable
from datetime import UTC
from typing import Any

import orjson

from auditlog.entries import rfc3339
from auditlog.models import Entry
from auditlog.serializers import entry_body

PRODUCT = "QueenSMTP"
ECS_VERSION = "8.11.0"
OCSF_VERSION = "1.3.0"
# OCSF class 6003, API Activity.
API_ACTIVITY = 6003
_ACTIVITIES = {
    1: ("created", "added", "submitted", "requested", "saved"),
    2: ("read", "listed", "opened", "downloaded", "revealed"),
    3: ("updated", "changed", "rotated", "raised", "verified", "renewed"),
    4: ("removed", "revoked", "deleted", "canceled", "erased", "pruned", "expired"),
}
# RFC 5424, 6.2.1: facility 13 (log audit), severity informational or warning.
_AUDIT_FACILITY, _INFORMATIONAL, _WARNING = 13, 6, 4
_BOM = b"\xef\xbb\xbf"

Sealed = tuple[Entry, int]


def ndjson(rows: Iterable[Sealed], *, fields: str) -> bytes:
    return b"".join(
        orjson.dumps(_event(entry, index, fields), option=orjson.OPT_APPEND_NEWLINE)
        for entry, index in rows
    )


def syslog(rows: Iterable[Sealed], *, fields: str, host: str) -> bytes:
    """RFC 5424 messages in the framing of RFC 5425: the length, a space, the message."""
    messages = (_message(entry, index, fields, host) for entry, index in rows)
    return b"".join(b"%d %b" % (len(one), one) for one in messages)


def _message(entry: Entry, leaf_index: int, fields: str, host: str) -> bytes:
    severity = _INFORMATIONAL if entry.outcome == "allowed" else _WARNING
    # 6.2.7: 32 characters at most, and printable ASCII. Event names are both but for length.
    head = (
        f"<{_AUDIT_FACILITY * 8 + severity}>1 {rfc3339(entry.created_at)} {host[:255]}"
        f" {PRODUCT} - {entry.event[:32]} - "
    )
    return head.encode() + _BOM + orjson.dumps(_event(entry, leaf_index, fields))


def _event(entry: Entry, leaf_index: int, fields: str) -> dict[str, Any]:
    return _ocsf(entry, leaf_index) if fields == "ocsf" else _ecs(entry, leaf_index)


def _ecs(entry: Entry, leaf_index: int) -> dict[str, Any]:
    return {
        "@timestamp": rfc3339(entry.created_at),
        "ecs": {"version": ECS_VERSION},
        "event": {
            "id": str(entry.id),
            "sequence": leaf_index,
            "kind": "event",
            "module": "queensmtp",
            "dataset": "queensmtp.audit",
            "action": entry.event,
            "outcome": "success" if entry.outcome == "allowed" else "failure",
        },
        "organization": {"id": str(entry.account_id)},
        "user": {"id": entry.actor_id, "name": entry.actor_label},
        "source": {"ip": entry.ip} if entry.ip else {},
        "user_agent": {"original": entry.user_agent},
        "http": {"request": {"id": entry.request_id}},
        "labels": entry.labels,
        "queensmtp": {"audit": entry_body(entry, leaf_index=leaf_index)},
    }


def _ocsf(entry: Entry, leaf_index: int) -> dict[str, Any]:
    activity = _activity(entry.event)
    return {
        "class_uid": API_ACTIVITY,
        "category_uid": 6,
        "activity_id": activity,
        "type_uid": API_ACTIVITY * 100 + activity,
        "severity_id": 1 if entry.outcome == "allowed" else 3,
        "status_id": 1 if entry.outcome == "allowed" else 2,
        "status_detail": entry.outcome,
        "time": int(entry.created_at.astimezone(UTC).timestamp() * 1000),
        "count": entry.count,
        "metadata": {
            "version": OCSF_VERSION,
            "uid": str(entry.id),
            "sequence": leaf_index,
            "tenant_uid": str(entry.account_id),
            "log_name": "audit",
            "product": {"name": PRODUCT, "vendor_name": PRODUCT},
        },
        "actor": {
            "user": {"uid": entry.actor_id, "name": entry.actor_label, "type": entry.actor_type}
        },
        "api": {"operation": entry.event, "request": {"uid": entry.request_id}},
        "src_endpoint": {"ip": entry.ip} if entry.ip else {},
        "http_request": {"user_agent": entry.user_agent},
        "resources": [
            {"uid": entry.target_id, "name": entry.target_label, "type": entry.target_type}
        ]
        if entry.target_type
        else [],
        "unmapped": entry_body(entry, leaf_index=leaf_index),
    }


def _activity(event: str) -> int:
    verb = event.rpartition(".")[2]
    for activity, endings in _ACTIVITIES.items():
        if verb.endswith(endings):
            return activity
    return 99
