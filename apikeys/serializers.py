"""Wire shapes of keys (`design.md` 3.8). The digest and the secret never leave."""

from datetime import datetime
from typing import Any

from apikeys.models import ApiKey


def key(row: ApiKey, *, last_used: tuple[datetime, str | None] | None = None) -> dict[str, Any]:
    """A key as everybody who may read keys sees it."""
    used_at, used_ip = last_used or (None, None)
    return {
        "object": "key",
        "id": str(row.pk),
        "name": row.name,
        "environment": row.environment,
        "scopes": row.scopes,
        "domains": row.domains,
        "allowed_cidrs": row.allowed_cidrs,
        "allowed_recipients": row.allowed_recipients,
        "expires_at": _time(row.expires_at),
        "rate_limit": row.rate_limit,
        "labels": row.labels,
        "notes": row.notes,
        "prefix": row.prefix,
        "last4": row.last4,
        "status": row.status(),
        "created_at": _time(row.created_at),
        "created_by": row.created_by,
        "last_used_at": _time(used_at),
        "last_used_ip": used_ip,
        "replaces": _id(row.replaces_id),
        "replaced_by": _id(row.replaced_by_id),
        "overlap_ends_at": _time(row.overlap_ends_at),
        "revoked_at": _time(row.revoked_at),
    }


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _id(value: object) -> str | None:
    return str(value) if value else None
