"""Why a request of a key was refused, in words for its owner. Pure."""

from apikeys.policy import Reason

WORDS: dict[str, str] = {
    Reason.WRONG_SECRET: "Somebody knew the key's id and guessed at its secret",
    Reason.TAMPERED: "The key's row in the database was changed by something other than us",
    Reason.DECOY: "The key is a decoy: whoever presented it was where nobody has to look",
    Reason.IP_NOT_ALLOWED: "The address is not in the key's allowlist",
    Reason.REVOKED: "The key was revoked",
    Reason.EXPIRED: "The key had expired",
    Reason.OVERLAP_ENDED: "The overlap after a rotation had ended; use the successor",
    Reason.ACCOUNT_CLOSED: "The account is closed",
    Reason.SCOPE: "The key lacks the scope for this",
    Reason.DOMAIN: "The key may not send from this domain",
    Reason.RECIPIENT: "The key may not write to this recipient",
    "domain_not_verified": "The sending domain is not verified",
    "rate_limit_exceeded": "The key was used faster than it may",
    "daily_quota_exceeded": "The quota of the day was used up, that of the key or of the account",
    "monthly_quota_exceeded": "The account's quota of the month was used up",
    "validation_error": "The request itself was wrong",
    "not_found": "What it asked for is not there",
}


def in_words(reason: str) -> str:
    """A sentence, or the bare name of a reason that needs none."""
    return WORDS.get(reason) or reason.replace("_", " ").capitalize() or "No reason was recorded"
