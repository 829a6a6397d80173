"""What we write above each message so that a complaint about it can be told to be one. Pure.

A provider sends complaints of all its users to one address, often with every address taken out
(RFC 6590). The token names the recipient under a MAC: who shows it was given the message. It
stands above the DKIM signature, since each recipient of a message has his own.
"""

from uuid import UUID

from sending import signed_tokens
from sending.signed_tokens import Keys

HEADER = "X-QueenSMTP-Feedback"
PURPOSE = "feedback"
MAC_SIZE = 10
# As many letters as a token has, and some more.
TOKEN_AT_MOST = 64


def header_for(recipient_id: UUID, *, keys: Keys) -> bytes:
    """The header field with its line end."""
    token = signed_tokens.seal(PURPOSE, recipient_id.bytes, keys=keys, mac_size=MAC_SIZE)
    return f"{HEADER}: {signed_tokens.as_base32(token)}\r\n".encode()


def find_recipient(value: str, *, keys: Keys) -> UUID | None:
    """The recipient whose message carried this value; None for any other."""
    token = signed_tokens.from_base32(value.strip()) if len(value) <= TOKEN_AT_MOST else None
    if token is None:
        return None
    payload = signed_tokens.find_payload(PURPOSE, token, keys=keys, mac_size=MAC_SIZE)
    return UUID(bytes=payload) if payload is not None and len(payload) == 16 else None
