"""The closed list of scopes (`design.md` 3.2)."""

from collections.abc import Iterable
from enum import StrEnum


class Scope(StrEnum):
    EMAIL_SEND = "email:send"
    EMAIL_READ = "email:read"
    CONTACTS_READ = "contacts:read"
    CONTACTS_WRITE = "contacts:write"
    TEMPLATES_READ = "templates:read"
    TEMPLATES_RW = "templates:rw"
    REPORTS_READ = "reports:read"
    DOMAINS_READ = "domains:read"
    DOMAINS_WRITE = "domains:write"
    SENDERIDS_READ = "senderids:read"
    SENDERIDS_WRITE = "senderids:write"
    SUPPRESSIONS_READ = "suppressions:read"
    SUPPRESSIONS_WRITE = "suppressions:write"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    AUDIT_READ = "audit:read"


# Declared by endpoints that need no key at all; anything else must declare one Scope.
PUBLIC = "public"

ALL = frozenset(Scope)

IMPLIED: dict[str, frozenset[str]] = {
    Scope.TEMPLATES_RW: frozenset({Scope.TEMPLATES_READ}),
}


def granted(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes given, and the few that they include."""
    given = frozenset(scopes)
    return given.union(*(included for scope, included in IMPLIED.items() if scope in given))
