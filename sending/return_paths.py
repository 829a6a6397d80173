"""The return path of one recipient: an address that names the recipient and cannot be forged. Pure.

`b-<token>@<host>`: who sends a report there proves that he was given the message, or a part of
it. Reports for anything else are not taken (threats.md Q14). The host is ours or a customer's
that leads to ours, and proves nothing.
"""

from uuid import UUID

from sending import signed_tokens
from sending.signed_tokens import Keys

PURPOSE = "return path"
PREFIX = "b-"
# With number and id 27 bytes, 44 letters: a local part may have 64 (RFC 5321 4.5.3.1.1).
MAC_SIZE = 10


def address_for(recipient_id: UUID, *, keys: Keys, host: str) -> str:
    token = signed_tokens.seal(PURPOSE, recipient_id.bytes, keys=keys, mac_size=MAC_SIZE)
    return f"{PREFIX}{signed_tokens.as_base32(token)}@{host}"


def find_recipient(address: str, *, keys: Keys) -> UUID | None:
    """The recipient whose return path this is; None for any other address."""
    local = address.rpartition("@")[0]
    if local[: len(PREFIX)].lower() != PREFIX:
        return None
    token = signed_tokens.from_base32(local[len(PREFIX) :])
    if token is None:
        return None
    payload = signed_tokens.find_payload(PURPOSE, token, keys=keys, mac_size=MAC_SIZE)
    return UUID(bytes=payload) if payload is not None and len(payload) == 16 else None
