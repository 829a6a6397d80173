"""The calls of this app, by example (`queensmtp.operations`)."""

from queensmtp.operations import CURSORS, Operation, listed
from queensmtp.shapes import AnyNames

ID = "01997e2c-7d5f-7c31-9d6e-2f1f7a3f9b10"
AT = "2026-11-21T22:14:58.120Z"
HASH = "mYmgh1m2zJ5l3kDL2sAcKpVSDvYY+X/4a9vbhWgZz7k="
ENTRY = {
    "object": "audit_entry",
    "id": ID,
    "leaf_index": 4710,
    "created_at": AT,
    "event": "api_key.rotated",
    "outcome": "allowed",
    "actor": {"type": "user", "id": ID, "label": "alice@hive.example"},
    "key_id": None,
    "ip": "203.0.113.7",
    "user_agent": "Mozilla/5.0",
    "request_id": ID,
    "client_request_id": "",
    "target": {"type": "api_key", "id": ID, "label": "Shop"},
    "changes": {"overlap_seconds": 86_400},
    "labels": AnyNames(client="acme"),
    "count": 1,
}
NULLABLE = ("leaf_index", "ip", "target", "user_agent", "salt")
FILTERS = {
    "from": "Entries of this time or later.",
    "to": "Entries before this time.",
    "event": "`api_key.rotated`, or `api_key.*`; may be given several times.",
    "key_id": "What this key did.",
    "actor": "An id or an address.",
    "ip": "An address or a range.",
    "outcome": "`allowed`, `refused` or `failed`.",
    "target": "An id, or words of the target's name.",
    "label": "`name:value`.",
    "request_id": "Of one request.",
    "reads": "`true` shows ordinary reads too.",
}
EXPORT = {
    "object": "audit_export",
    "id": ID,
    "format": "jsonl",
    "proofs": True,
    "filters": {"event": ["api_key.*"]},
    "status": "ready",
    "rows_done": 4711,
    "rows_total": 4711,
    "percent": 100,
    "bytes": 1_048_576,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "checkpoint": None,
    "problem": None,
    "created_by": {"type": "key", "id": ID, "label": "Compliance"},
    "created_at": AT,
    "started_at": AT,
    "finished_at": AT,
    "expires_at": AT,
}
RETENTION = {
    "object": "audit_retention",
    "days": 365,
    "plan_days": 365,
    "chosen_days": 180,
    "falls_to": 180,
    "falls_at": AT,
    "pruned_before": AT,
}
OF_RETENTION = ("chosen_days", "falls_to", "falls_at", "pruned_before")
ERASURE = {
    "object": "audit_erasure",
    "id": ID,
    "status": "finished",
    "entry_count": 12,
    "created_by": {"type": "key", "id": ID, "label": "Compliance"},
    "created_at": AT,
    "finished_at": AT,
}
OF_AN_ERASURE = ("entry_count", "finished_at")
STREAM = {
    "object": "audit_stream",
    "id": ID,
    "kind": "https",
    "address": "https://siem.example/in",
    "fields": "ecs",
    "has_authorization": True,
    "enabled": True,
    "next_leaf": 4711,
    "problem": "The receiver answered 503.",
    "tried_again_at": AT,
    "sent_at": AT,
    "created_at": AT,
}
OF_A_STREAM = ("problem", "tried_again_at", "sent_at")
VIEW = {
    "object": "audit_view",
    "id": ID,
    "name": "Refused keys",
    "filters": AnyNames(event=["api_key.*"]),
    "shared": True,
    "created_by": {"id": ID, "label": "Compliance"},
    "created_at": AT,
}
# Beside the scope that the route declares.
ADMIN = "; the key also needs `keys:write`"
OF_AN_EXPORT = ("rows_total", "percent", "bytes", "sha256", "started_at", "finished_at")

OPERATIONS = {
    "GET /v1/audit-log": Operation(
        summary="List entries, newest first",
        answer=listed(ENTRY),
        nullable=[f"data[].{name}" for name in NULLABLE],
        query={**CURSORS, **FILTERS},
    ),
    "GET /v1/audit-log/{entry_id}": Operation(
        summary="Get one entry with its salt",
        answer={**ENTRY, "salt": "c2FsdHNhbHRzYWx0c2FsdA=="},
        nullable=NULLABLE,
    ),
    "GET /v1/audit-log/{entry_id}/receipt": Operation(
        summary="Get the entry with its proof, in one text that stands alone; 202 until sealed",
        media_type="text/plain",
    ),
    "GET /v1/audit-log/checkpoint": Operation(
        summary="Get the newest checkpoint, or that of a size",
        answer={
            "object": "checkpoint",
            "origin": f"localhost/{ID}",
            "size": 4711,
            "root_hash": HASH,
            "note": f"localhost/{ID}\n4711\n{HASH}\n\n— localhost/{ID} …\n",
        },
        query={"size": "How many leaves; left out, the newest."},
        errors=(404,),
    ),
    "GET /v1/audit-log/proof/inclusion": Operation(
        summary="Prove that an entry is in the log",
        answer={
            "leaf_index": 4710,
            "size": 4711,
            "leaf_hash": HASH,
            "leaf_data": '{"event":"api_key.rotated", …}',
            "hashes": [HASH],
        },
        nullable=("leaf_data",),
        query={
            "entry_id": "Of which entry; or give `leaf_index`.",
            "leaf_index": "Of which leaf.",
            "size": "In the tree of this size; left out, the newest.",
        },
        errors=(404,),
    ),
    "GET /v1/audit-log/proof/consistency": Operation(
        summary="Prove that one tree continues another",
        answer={"from": 4096, "to": 4711, "hashes": [HASH]},
        query={"from": "The older size.", "to": "The newer size."},
        errors=(404,),
    ),
    "POST /v1/audit-log/exports": Operation(
        summary="Ask for an export",
        body={"format": "jsonl", "proofs": True, "event": ["api_key.*"], "from": "2026-11-01"},
        optional=("format", "proofs", "event", "from"),
        answer={**EXPORT, "status": "queued"},
        status=201,
        nullable=OF_AN_EXPORT,
    ),
    "GET /v1/audit-log/exports": Operation(
        summary="List exports, newest first",
        answer=listed(EXPORT),
        nullable=[f"data[].{name}" for name in OF_AN_EXPORT],
        query=CURSORS,
    ),
    "GET /v1/audit-log/exports/{export_id}": Operation(
        summary="Get one export: how far it is, and its manifest",
        answer=EXPORT,
        nullable=OF_AN_EXPORT,
    ),
    "POST /v1/audit-log/exports/{export_id}/cancel": Operation(
        summary="Cancel an export",
        answer={**EXPORT, "status": "canceled"},
        nullable=OF_AN_EXPORT,
        errors=(409,),
    ),
    "GET /v1/audit-log/exports/{export_id}/file": Operation(
        summary="Download the file of an export", media_type="application/jsonl", errors=(409,)
    ),
    "GET /v1/audit-log/retention": Operation(
        summary="See how long entries are kept",
        answer=RETENTION,
        nullable=OF_RETENTION,
    ),
    "PATCH /v1/audit-log/retention": Operation(
        summary=f"Keep entries for longer; days that were chosen are never lowered{ADMIN}",
        body={"days": 180},
        answer=RETENTION,
        nullable=OF_RETENTION,
    ),
    "POST /v1/audit-log/erasures": Operation(
        summary="Erase personal data from every sealed entry that the list finds with these "
        f"filters, for ever{ADMIN}",
        body={"q": "dana@customer.example", "to": "2026-11-01"},
        optional=("q", "to"),
        answer={**ERASURE, "status": "queued"},
        status=201,
        nullable=OF_AN_ERASURE,
    ),
    "GET /v1/audit-log/erasures": Operation(
        summary="List erasures, newest first",
        answer=listed(ERASURE),
        nullable=[f"data[].{name}" for name in OF_AN_ERASURE],
        query=CURSORS,
    ),
    "GET /v1/audit-log/erasures/{erasure_id}": Operation(
        summary="Get one erasure: whether it is done, and how many entries it touched",
        answer=ERASURE,
        nullable=OF_AN_ERASURE,
    ),
    "POST /v1/audit-log/streams": Operation(
        summary=f"Push sealed entries to a SIEM, by HTTPS or syslog over TLS{ADMIN}",
        body={
            "kind": "https",
            "address": "https://siem.example/in",
            "fields": "ecs",
            "authorization": "Bearer …",
            "from_now_on": True,
        },
        optional=("kind", "fields", "authorization", "from_now_on"),
        answer=STREAM,
        status=201,
        nullable=OF_A_STREAM,
    ),
    "GET /v1/audit-log/streams": Operation(
        summary="List streams, newest first",
        answer=listed(STREAM),
        nullable=[f"data[].{name}" for name in OF_A_STREAM],
        query=CURSORS,
    ),
    "GET /v1/audit-log/streams/{stream_id}": Operation(
        summary="Get one stream: how far it has come, and what went wrong last",
        answer=STREAM,
        nullable=OF_A_STREAM,
    ),
    "PATCH /v1/audit-log/streams/{stream_id}": Operation(
        summary=f"Stop a stream, or let it go on where it stopped{ADMIN}",
        body={"enabled": False},
        answer={**STREAM, "enabled": False},
        nullable=OF_A_STREAM,
    ),
    "DELETE /v1/audit-log/streams/{stream_id}": Operation(
        summary=f"Remove a stream{ADMIN}",
        answer={"object": "audit_stream", "id": ID, "deleted": True},
    ),
    "POST /v1/audit-log/views": Operation(
        summary="Save a search under a name, or replace the key's own of that name",
        body={"name": "Refused keys", "filters": {"outcome": "refused"}, "shared": True},
        optional=("filters", "filters.outcome", "shared"),
        answer=VIEW,
        status=201,
    ),
    "GET /v1/audit-log/views": Operation(
        summary="List saved searches: the key's own, and those that are shared; newest first",
        answer=listed(VIEW),
        query=CURSORS,
    ),
    "GET /v1/audit-log/views/{view_id}": Operation(summary="Get a saved search", answer=VIEW),
    "DELETE /v1/audit-log/views/{view_id}": Operation(
        summary="Remove a search that the key itself saved",
        answer={"object": "audit_view", "id": ID, "deleted": True},
    ),
}
