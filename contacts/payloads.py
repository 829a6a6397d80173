"""What webhooks and the API say of a suppression (wire contract 7.2 and 8). Pure."""

from typing import Any

from contacts.models import Suppression


def told(row: Suppression) -> dict[str, Any]:
    """The fields that a receiver of `suppression.*` reads."""
    return {
        "id": str(row.pk),
        "email": row.email,
        "origin": row.origin,
        "source_id": str(row.source_id) if row.source_id else None,
        "created_at": row.created_at.isoformat(),
    }


def listed(row: Suppression) -> dict[str, Any]:
    """An item of a list; beyond the wire contract, why and for how long."""
    return {
        **told(row),
        "reason": row.reason,
        "expires_at": row.expires_at.isoformat() if row.expires_at else None,
    }


def whole(row: Suppression) -> dict[str, Any]:
    return {"object": "suppression", **listed(row)}


def brief(row: Suppression, *, deleted: bool = False) -> dict[str, Any]:
    """The answer to a change."""
    told = {"object": "suppression", "id": str(row.pk)}
    return {**told, "deleted": True} if deleted else told
