from enum import StrEnum


class Event(StrEnum):
    LISTED = "domain.listed"
    READ = "domain.read"
    CREATED = "domain.created"
    UPDATED = "domain.updated"
    CHECK_REQUESTED = "domain.check_requested"
    VERIFIED = "domain.verified"
    STATUS_CHANGED = "domain.status_changed"
    FAILED = "domain.failed"
    CLAIMED = "domain.claimed"
    LOST = "domain.lost"
    REMOVED = "domain.removed"
    KEY_PREPARED = "dkim_key.prepared"
    KEY_SWITCHED = "dkim_key.switched"
    KEY_RETIRED = "dkim_key.retired"
    KEY_WITHDRAWN = "dkim_key.withdrawn"
    SENDERS_LISTED = "sender_id.listed"
    SENDER_READ = "sender_id.read"
    SENDER_CREATED = "sender_id.created"
    SENDER_UPDATED = "sender_id.updated"
    SENDER_REMOVED = "sender_id.removed"


SENTENCES: dict[str, str] = {
    Event.LISTED: "listed the domains",
    Event.READ: "read the domain {target}",
    Event.CREATED: "added the domain {target}",
    Event.UPDATED: "changed the domain {target}",
    Event.CHECK_REQUESTED: "asked to look at the DNS of {target}",
    Event.VERIFIED: "verified the domain {target}",
    Event.STATUS_CHANGED: "found the domain {target} in another state",
    Event.FAILED: "stopped the domain {target}, whose records are gone",
    Event.CLAIMED: "moved the domain {target} here from another account",
    Event.LOST: "lost the domain {target} to another account that proved it",
    Event.REMOVED: "removed the domain {target}",
    Event.KEY_PREPARED: "prepared new DKIM keys for {target}",
    Event.KEY_SWITCHED: "switched {target} to its new DKIM keys",
    Event.KEY_RETIRED: "retired old DKIM keys of {target}",
    Event.KEY_WITHDRAWN: "withdrew the new DKIM keys of {target}",
    Event.SENDERS_LISTED: "listed the sender identities",
    Event.SENDER_READ: "read the sender identity {target}",
    Event.SENDER_CREATED: "added the sender identity {target}",
    Event.SENDER_UPDATED: "changed the sender identity {target}",
    Event.SENDER_REMOVED: "removed the sender identity {target}",
}
