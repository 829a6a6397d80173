from enum import StrEnum


class Event(StrEnum):
    CREATED = "api_key.created"
    UPDATED = "api_key.updated"
    ROTATED = "api_key.rotated"
    OVERLAP_ENDED = "api_key.overlap_ended"
    REVOKED = "api_key.revoked"
    STOPPED = "api_key.stopped"
    LEAKED = "api_key.leaked"
    EXPIRY_ANNOUNCED = "api_key.expiry_announced"
    NEW_NETWORK_SEEN = "api_key.new_network_seen"
    DECOY_USED = "api_key.decoy_used"
    DIGEST_UPGRADED = "api_key.digest_upgraded"
    ROW_CONFIRMED = "api_key.row_confirmed"
    ROW_CHANGED_OUTSIDE = "api_key.row_changed_outside"
    READ = "api_key.read"
    LISTED = "api_key.listed"
    WRONG_SECRET_PRESENTED = "api_key.wrong_secret_presented"


SENTENCES: dict[str, str] = {
    Event.CREATED: "created the API key {target}",
    Event.UPDATED: "changed the API key {target}",
    Event.ROTATED: "rotated the API key {target}",
    Event.OVERLAP_ENDED: "ended the overlap of the API key {target}",
    Event.REVOKED: "revoked the API key {target}",
    Event.STOPPED: "canceled what the API key {target} had scheduled",
    Event.LEAKED: "revoked the API key {target}, which was reported as leaked",
    Event.EXPIRY_ANNOUNCED: "reminded that the API key {target} will expire",
    Event.NEW_NETWORK_SEEN: "saw the API key {target} used from a new network",
    Event.DECOY_USED: "saw the decoy key {target} presented",
    Event.DIGEST_UPGRADED: "brought the API key {target} under the newest pepper",
    Event.ROW_CONFIRMED: "confirmed the stored row of the API key {target}",
    Event.ROW_CHANGED_OUTSIDE: "found the row of the API key {target} changed outside QueenSMTP",
    Event.READ: "read the API key {target}",
    Event.LISTED: "listed API keys",
    Event.WRONG_SECRET_PRESENTED: "saw wrong secrets presented for the API key {target}",
}
