"""Who may do what in the console: one table, read by every page and by the tests.

Rights are a closed list. A role holds exactly the rights named here; none implies another.
"""

from enum import StrEnum


class Right(StrEnum):
    HOME_READ = "home:read"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    MESSAGES_READ = "messages:read"
    MESSAGES_WRITE = "messages:write"
    BODIES_READ = "bodies:read"
    AUDIT_READ = "audit:read"
    AUDIT_EXPORT = "audit:export"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    DOMAINS_READ = "domains:read"
    DOMAINS_WRITE = "domains:write"
    CONTACTS_READ = "contacts:read"
    CONTACTS_WRITE = "contacts:write"
    REPORTS_READ = "reports:read"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    ACCOUNT_WRITE = "account:write"
    ACCOUNT_CLOSE = "account:close"
    OWNERS_WRITE = "owners:write"


class Role(StrEnum):
    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    COMPLIANCE = "compliance"
    VIEWER = "viewer"


MEANINGS: dict[Right, str] = {
    Right.HOME_READ: "Open the console and see how the account is set up",
    Right.KEYS_READ: "See API keys: names, limits and last use, never the secret",
    Right.KEYS_WRITE: "Create, rotate and revoke API keys",
    Right.MESSAGES_READ: "See messages: addresses, subjects and delivery timelines",
    Right.MESSAGES_WRITE: "Cancel messages and send them again",
    Right.BODIES_READ: "Read the contents of messages",
    Right.AUDIT_READ: "Read and verify the audit log",
    Right.AUDIT_EXPORT: "Export the audit log",
    Right.WEBHOOKS_READ: "See webhook endpoints and deliveries",
    Right.WEBHOOKS_WRITE: "Change webhook endpoints, see and rotate their secrets",
    Right.DOMAINS_READ: "See sending domains and their DNS state",
    Right.DOMAINS_WRITE: "Add, verify and remove sending domains",
    Right.CONTACTS_READ: "See contacts and suppressions",
    Right.CONTACTS_WRITE: "Change contacts and suppressions",
    Right.REPORTS_READ: "See reports",
    Right.MEMBERS_READ: "See who belongs to the account",
    Right.MEMBERS_WRITE: "Invite, change and remove members",
    Right.ACCOUNT_WRITE: "Change the account's name, plan and settings",
    Right.ACCOUNT_CLOSE: "Close the account",
    Right.OWNERS_WRITE: "Make and unmake owners",
}

SUMMARIES: dict[Role, str] = {
    Role.OWNER: "Everything, closing the account included.",
    Role.ADMIN: "Everything but closing the account and naming owners.",
    Role.DEVELOPER: "Keys, domains, webhooks and messages; no people, no exports.",
    Role.COMPLIANCE: "Reads, verifies and exports the record; no keys, no message contents.",
    Role.VIEWER: "Looks on; sees no message contents and no audit log.",
}

_ALL = frozenset(Right)

RIGHTS: dict[Role, frozenset[Right]] = {
    Role.OWNER: _ALL,
    Role.ADMIN: _ALL - {Right.ACCOUNT_CLOSE, Right.OWNERS_WRITE},
    Role.DEVELOPER: frozenset(
        {
            Right.HOME_READ,
            Right.KEYS_READ,
            Right.KEYS_WRITE,
            Right.MESSAGES_READ,
            Right.MESSAGES_WRITE,
            Right.BODIES_READ,
            Right.AUDIT_READ,
            Right.WEBHOOKS_READ,
            Right.WEBHOOKS_WRITE,
            Right.DOMAINS_READ,
            Right.DOMAINS_WRITE,
            Right.CONTACTS_READ,
            Right.CONTACTS_WRITE,
            Right.REPORTS_READ,
            Right.MEMBERS_READ,
        }
    ),
    Role.COMPLIANCE: frozenset(
        {
            Right.HOME_READ,
            Right.MESSAGES_READ,
            Right.AUDIT_READ,
            Right.AUDIT_EXPORT,
            Right.WEBHOOKS_READ,
            Right.DOMAINS_READ,
            Right.REPORTS_READ,
            Right.MEMBERS_READ,
        }
    ),
    Role.VIEWER: frozenset(
        {
            Right.HOME_READ,
            Right.KEYS_READ,
            Right.MESSAGES_READ,
            Right.WEBHOOKS_READ,
            Right.DOMAINS_READ,
            Right.REPORTS_READ,
            Right.MEMBERS_READ,
        }
    ),
}


def rights_of(role: str) -> frozenset[Right]:
    return RIGHTS[Role(role)]


def roles_with(right: Right) -> list[Role]:
    return [role for role in Role if right in RIGHTS[role]]
