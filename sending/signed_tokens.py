"""Tokens that only we can make: in return paths and in the links of mails. Pure.

A token is the number of the key, a payload and a MAC over purpose and payload, so that one made
for one purpose is worth nothing for another. The keys are given newest first; an older one still
opens what it made.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence

# Number and base64, as the settings hold them.
Keys = Sequence[tuple[int, str]]


def seal(purpose: str, payload: bytes, *, keys: Keys, mac_size: int) -> bytes:
    """The token of a payload, made with the newest key."""
    number, encoded = keys[0]
    head = bytes([number]) + payload
    return head + _mac(encoded, purpose, head)[:mac_size]


def find_payload(purpose: str, token: bytes, *, keys: Keys, mac_size: int) -> bytes | None:
    """The payload of a token of ours; None for any other."""
    head, mac = token[:-mac_size], token[-mac_size:]
    if len(head) < 2:
        return None
    for number, encoded in keys:
        if number == head[0]:
            expected = _mac(encoded, purpose, head)[:mac_size]
            return head[1:] if hmac.compare_digest(mac, expected) else None
    return None


def as_base32(token: bytes) -> str:
    """Letters and digits of one case, for what mail servers may write in either."""
    return base64.b32encode(token).decode().rstrip("=").lower()


def from_base32(text: str) -> bytes | None:
    return _decoded(base64.b32decode, text.upper(), block=8)


def as_base64(token: bytes) -> str:
    """For the path of a URL."""
    return base64.urlsafe_b64encode(token).decode().rstrip("=")


def from_base64(text: str) -> bytes | None:
    found = _decoded(base64.urlsafe_b64decode, text, block=4)
    # The decoder skips what it does not know: only one spelling is taken.
    return found if found is not None and as_base64(found) == text else None


def _decoded(decode: object, text: str, *, block: int) -> bytes | None:
    assert callable(decode)
    try:
        return bytes(decode(text + "=" * (-len(text) % block)))
    except (binascii.Error, ValueError):
        return None


def _mac(encoded_key: str, purpose: str, head: bytes) -> bytes:
    return hmac.digest(base64.b64decode(encoded_key), purpose.encode() + b"\0" + head, "sha256")
