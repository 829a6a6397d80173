"""The wire shapes of the audit log (`design.md` 3.8)."""

from typing import Any

from auditlog import checkpoints
from auditlog.entries import rfc3339
from auditlog.models import Checkpoint, Entry, Head
from auditlog.proofs import ConsistencyProof, InclusionProof, cosigned_note, encoded


def entry_body(entry: Entry, *, leaf_index: int | None) -> dict[str, Any]:
    return {
        "object": "audit_entry",
        "id": str(entry.id),
        "leaf_index": leaf_index,
        "created_at": rfc3339(entry.created_at),
        "event": entry.event,
        "outcome": entry.outcome,
        "actor": {"type": entry.actor_type, "id": entry.actor_id, "label": entry.actor_label},
        "key_id": str(entry.key_id) if entry.key_id else None,
        "ip": entry.ip,
        "user_agent": entry.user_agent,
        "request_id": entry.request_id,
        "client_request_id": entry.client_request_id,
        "target": _target(entry),
        "changes": entry.changes,
        "labels": entry.labels,
        "count": entry.count,
    }


def entry_with_salt_body(entry: Entry, *, leaf_index: int | None) -> dict[str, Any]:
    """Add what a stranger needs to check the personal fields; null when they were erased."""
    salt = encoded(entry.salt) if entry.salt is not None else None
    return {**entry_body(entry, leaf_index=leaf_index), "salt": salt}


def checkpoint_body(checkpoint: Head | Checkpoint) -> dict[str, Any]:
    return {
        "object": "checkpoint",
        "origin": checkpoints.origin_stated(checkpoint.note),
        "size": checkpoint.size,
        "root_hash": encoded(checkpoint.root),
        "note": cosigned_note(checkpoint),
    }


def inclusion_body(proof: InclusionProof) -> dict[str, Any]:
    return {
        "leaf_index": proof.leaf_index,
        "size": proof.size,
        "leaf_hash": encoded(proof.leaf_hash),
        "leaf_data": None if proof.leaf_data is None else proof.leaf_data.decode(),
        "hashes": [encoded(each) for each in proof.hashes],
    }


def consistency_body(proof: ConsistencyProof) -> dict[str, Any]:
    return {
        "from": proof.first,
        "to": proof.second,
        "hashes": [encoded(each) for each in proof.hashes],
    }


def _target(entry: Entry) -> dict[str, str] | None:
    if not entry.target_type:
        return None
    return {"type": entry.target_type, "id": entry.target_id, "label": entry.target_label}
