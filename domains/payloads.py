"""What the API and webhooks say of a domain and of a sender identity (wire contract 3 and 7.2)."""

from typing import Any

from domains import names, records
from domains.models import Domain, SenderIdentity
from domains.records import Kind, Record

TTL = "Auto"


def listed(domain: Domain) -> dict[str, Any]:
    """An item of a list."""
    return {
        "id": str(domain.pk),
        "name": domain.name,
        "status": domain.status,
        "created_at": domain.created_at.isoformat(),
        "region": domain.region,
        "capabilities": {"sending": "enabled", "receiving": "disabled"},
        "open_tracking": domain.open_tracking,
        "click_tracking": domain.click_tracking,
        "tracking_subdomain": domain.tracking_subdomain or None,
        "tls": "enforced" if domain.enforces_tls else "opportunistic",
    }


def created(domain: Domain) -> dict[str, Any]:
    return {**listed(domain), "records": [_record(domain, one) for one in domain.to_publish()]}


def whole(domain: Domain) -> dict[str, Any]:
    """Beyond the wire contract: when it is looked at again, and what we advise."""
    return {
        "object": "domain",
        **created(domain),
        "advice": [_record(domain, one) for one in domain.advised()],
        "is_lookalike": domain.is_lookalike,
        "note": domain.note or None,
        "checked_at": domain.checked_at.isoformat() if domain.checked_at else None,
        "next_check_at": domain.check_due_at.isoformat() if domain.check_due_at else None,
    }


def told(domain: Domain) -> dict[str, Any]:
    """The fields that a receiver of `domain.*` reads."""
    return {
        "id": str(domain.pk),
        "name": domain.name,
        "status": domain.status,
        "created_at": domain.created_at.isoformat(),
        "region": domain.region,
        "records": [_record(domain, one) for one in domain.to_publish()],
    }


def brief(domain: Domain, *, deleted: bool = False) -> dict[str, Any]:
    body: dict[str, Any] = {"object": "domain", "id": str(domain.pk)}
    return {**body, "deleted": True} if deleted else body


def sender(row: SenderIdentity) -> dict[str, Any]:
    return {
        "object": "sender_id",
        "id": str(row.pk),
        "name": row.name or None,
        "email": row.email,
        "reply_to": row.reply_to or None,
        "domain_id": str(row.domain_id),
        "created_at": row.created_at.isoformat(),
    }


def _record(domain: Domain, one: Record) -> dict[str, Any]:
    """`name` is relative to the registered domain, as providers take it; `fqdn` is all of it."""
    finding = domain.finding(one.slug)
    zone = names.organisational_domain(domain.name)
    body: dict[str, Any] = {
        "record": str(one.kind),
        "name": records.relative_to(zone, one.name),
        "fqdn": one.name,
        "type": one.type,
        "ttl": TTL,
        "status": finding.status,
        "value": one.value,
        "found": list(finding.found),
        "cause": finding.cause or None,
    }
    if one.priority is not None:
        body["priority"] = one.priority
    if one.kind == Kind.DKIM:
        body["signs"] = str(one.weight) == "required"
    return body
