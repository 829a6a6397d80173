"""Reports in the shape of GitHub's secret scanning partner programme.

A report is a JSON list of `{"token", "type", "url", "source"}`, signed as it was sent: ECDSA with
P-256 and SHA-256, in base64, by the key that a header names.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from apikeys.leaks import Sighting


def is_signed(
    body: bytes,
    *,
    key_identifier: str,
    signature: str,
    keys: Mapping[str, EllipticCurvePublicKey],
) -> bool:
    """Whether one of our keys, the one that is named, signed exactly these bytes."""
    key = keys.get(key_identifier)
    if key is None:
        return False
    try:
        key.verify(base64.b64decode(signature, validate=True), body, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def sighting(entry: Any) -> Sighting | None:
    """What one entry tells; None for what has no token. Unknown names are left to GitHub."""
    if not isinstance(entry, dict) or not isinstance(entry.get("token"), str):
        return None
    part = _text(entry.get("source"))
    source = f"GitHub: {part}" if part else "GitHub"
    return Sighting(text=entry["token"], source=source, url=_text(entry.get("url")))


def _text(value: object) -> str:
    given = value if isinstance(value, str) else ""
    return "".join(letter for letter in given if letter.isprintable())
