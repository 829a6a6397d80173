"""The wire shapes of the audit log (`design.md` 3.8)."""

from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from auditlog import checkpoints
from auditlog.entries import rfc3339
from auditlog.models import Checkpoint, Entry, Erasure, Head, Retention, SavedView, Stream
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


def retention_body(kept: Retention) -> dict[str, Any]:
    return {
        "object": "audit_retention",
        "days": kept.days,
        "plan_days": kept.plan_days,
        "chosen_days": kept.chosen_days,
        "falls_to": None if kept.falls_at is None else kept.days_after_fall,
        "falls_at": _moment(kept.falls_at),
        "pruned_before": _moment(kept.pruned_before),
    }


def erasure_body(erasure: Erasure) -> dict[str, Any]:
    """Never whom it is about: that goes with the data."""
    return {
        "object": "audit_erasure",
        "id": str(erasure.pk),
        "status": "queued" if erasure.finished_at is None else "finished",
        "entry_count": None if erasure.finished_at is None else erasure.entry_count,
        "created_by": {
            "type": erasure.asked_by_type,
            "id": erasure.asked_by_id,
            "label": erasure.asked_by_label,
        },
        "created_at": rfc3339(erasure.created_at),
        "finished_at": _moment(erasure.finished_at),
    }


def stream_body(stream: Stream) -> dict[str, Any]:
    """What may be a secret, the header and the address's query, is told to the receiver alone."""
    is_resting = stream.is_enabled and stream.failure_count > 0
    return {
        "object": "audit_stream",
        "id": str(stream.pk),
        "kind": stream.kind,
        "address": stream.shown_address,
        "fields": stream.fields,
        "has_authorization": stream.authorization is not None,
        "enabled": stream.is_enabled,
        "next_leaf": stream.next_leaf,
        "problem": stream.problem or None,
        "tried_again_at": _moment(stream.due_at) if is_resting else None,
        "sent_at": _moment(stream.sent_at),
        "created_at": rfc3339(stream.created_at),
    }


def view_body(view: SavedView) -> dict[str, Any]:
    return {
        "object": "audit_view",
        "id": str(view.pk),
        "name": view.name,
        "filters": parse_qs(view.query),
        "shared": view.is_shared,
        "created_by": {"id": view.owner_id, "label": view.owner_label},
        "created_at": rfc3339(view.created_at),
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)


def _target(entry: Entry) -> dict[str, str] | None:
    if not entry.target_type:
        return None
    return {"type": entry.target_type, "id": entry.target_id, "label": entry.target_label}
