"""What is answered about an export: its manifest, and its file."""

from pathlib import Path
from typing import Any

import orjson
from django.http import FileResponse, HttpResponse

from auditlog import proofs, serializers
from auditlog.entries import rfc3339
from auditlog.models import Checkpoint, Export

CONTENT_TYPES = {"jsonl": "application/jsonl", "csv": "text/csv; charset=utf-8"}
# Larger pieces do not make it faster, smaller ones make it slower.
PIECE_BYTES = 256 * 1024


def body(export: Export) -> dict[str, Any]:
    """The manifest: what is in the file, its hash, and the checkpoint that it stands on."""
    return {
        "object": "audit_export",
        "id": str(export.pk),
        "format": export.format,
        "proofs": export.proofs,
        "filters": export.filters,
        "status": export.status,
        "rows_done": export.rows_done,
        "rows_total": export.rows_total,
        "percent": export.percent,
        "bytes": export.byte_count,
        "sha256": export.sha256 or None,
        "checkpoint": _checkpoint(export),
        "problem": export.problem or None,
        "created_by": {
            "type": export.asked_by_type,
            "id": export.asked_by_id,
            "label": export.asked_by_label,
        },
        "created_at": rfc3339(export.created_at),
        "started_at": _moment(export.started_at),
        "finished_at": _moment(export.finished_at),
        "expires_at": _moment(export.expires_at),
    }


def manifest(export: Export) -> HttpResponse:
    """The manifest as a file, to lie beside the other."""
    answer = HttpResponse(
        orjson.dumps(body(export), option=orjson.OPT_INDENT_2), content_type="application/json"
    )
    name = f"audit-log-{export.created_at:%Y-%m-%d}-{export.pk}.manifest.json"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def file(export: Export, path: Path) -> HttpResponse:
    """The file itself, sent a piece at a time."""
    answer = FileResponse(
        path.open("rb"),
        as_attachment=True,
        filename=f"audit-log-{export.created_at:%Y-%m-%d}-{export.pk}.{export.format}",
        content_type=CONTENT_TYPES[export.format],
    )
    answer.block_size = PIECE_BYTES
    answer.headers["Cache-Control"] = "no-store, private"
    # RFC 9530: whoever saves the file can check it without asking again.
    digest = _base64_of(export.sha256)
    answer.headers["Repr-Digest"] = f"sha-256=:{digest}:"
    return answer  # type: ignore[return-value]


def _checkpoint(export: Export) -> dict[str, Any] | None:
    if export.tree_size is None:
        return None
    found = Checkpoint.objects.filter(account_id=export.account_id, size=export.tree_size).first()
    return serializers.checkpoint_body(found) if found else None


def _moment(value: Any) -> str | None:
    return None if value is None else rfc3339(value)


def _base64_of(digest: str) -> str:
    return proofs.encoded(bytes.fromhex(digest))
