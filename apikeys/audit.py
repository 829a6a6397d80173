from enum import StrEnum


class Event(StrEnum):
    CREATED = "api_key.created"
    UPDATED = "api_key.updated"
    ROTATED = "api_key.rotated"
    OVERLAP_ENDED = "api_key.overlap_ended"
    REVOKED = "api_key.revoked"
    LEAKED = "api_key.leaked"
    READ = "api_key.read"
    LISTED = "api_key.listed"
    WRONG_SECRET_PRESENTED = "api_key.wrong_secret_presented"


SENTENCES: dict[str, str] = {
    Event.CREATED: "created the API key {target}",
    Event.UPDATED: "changed the API key {target}",
    Event.ROTATED: "rotated the API key {target}",
    Event.OVERLAP_ENDED: "ended the overlap of the API key {target}",
    Event.REVOKED: "revoked the API key {target}",
    Event.LEAKED: "revoked the API key {target}, which was reported as leaked",
    Event.READ: "read the API key {target}",
    Event.LISTED: "listed API keys",
    Event.WRONG_SECRET_PRESENTED: "saw wrong secrets presented for the API key {target}",
}
