from enum import StrEnum


class Event(StrEnum):
    LISTED = "webhook.listed"
    READ = "webhook.read"
    CREATED = "webhook.created"
    UPDATED = "webhook.updated"
    REMOVED = "webhook.removed"
    SECRET_ROTATED = "webhook.secret_rotated"
    SECRET_REVEALED = "webhook.secret_revealed"
    DISABLED = "webhook.disabled"


SENTENCES: dict[str, str] = {
    Event.LISTED: "listed the webhooks",
    Event.READ: "read the webhook {target}",
    Event.CREATED: "added the webhook {target}",
    Event.UPDATED: "changed the webhook {target}",
    Event.REMOVED: "removed the webhook {target}",
    Event.SECRET_ROTATED: "rotated the signing secret of {target}",
    Event.SECRET_REVEALED: "revealed the signing secret of {target}",
    Event.DISABLED: "disabled the webhook {target}",
}
