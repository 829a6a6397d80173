"""Wire shapes of keys (`design.md` 3.8). The digest and the secret never leave."""

from datetime import datetime
from typing import Any

from apikeys.models import ApiKey
from apikeys.usage import NEVER, Use


def key(row: ApiKey, *, last_used: Use | None = None) -> dict[str, Any]:
    """A key as everybody who may read keys sees it."""
    used = last_used or NEVER
    return {
        "object": "key",
        "id": str(row.pk),
        "name": row.name,
        "environment": row.environment,
        "scopes": row.scopes,
        "domains": row.domains,
        "allowed_cidrs": row.allowed_cidrs,
        "learning_until": _time(row.learning_until),
        "allowed_recipients": row.allowed_recipients,
        "expires_at": _time(row.expires_at),
        "rotate_every_seconds": row.rotate_every_seconds,
        "rate_limit": row.rate_limit,
        "daily_quota": row.daily_quota,
        "labels": row.labels,
        "notes": row.notes,
        "prefix": row.prefix,
        "last4": row.last4,
        "status": row.status(),
        "decoy": row.is_decoy,
        "created_at": _time(row.created_at),
        "created_by": row.created_by,
        "last_used_at": _time(used.at),
        "last_used_ip": used.ip,
        "last_used_user_agent": used.user_agent or None,
        "replaces": _id(row.replaces_id),
        "replaced_by": _id(row.replaced_by_id),
        "overlap_ends_at": _time(row.overlap_ends_at),
        "revoked_at": _time(row.revoked_at),
    }


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _id(value: object) -> str | None:
    return str(value) if value else None
