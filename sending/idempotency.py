"""Which two requests are the same. Pure.

A fingerprint is taken of the parsed body in a canonical form, so that clients may order keys and
space JSON as they like. By SMTP a retry has new boundaries and dates: there only the envelope
counts.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

KEY_LIMIT = 256


def is_key(text: str) -> bool:
    """Whether a client's key can be taken: 1 to 256 printable ASCII characters."""
    return 0 < len(text) <= KEY_LIMIT and text.isascii() and text.isprintable()


def fingerprint(body: Any) -> bytes:
    """SHA-256 over the canonical form of parsed JSON."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    # A lone surrogate is refused by validation, which comes later.
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).digest()


def envelope_fingerprint(*, sender: str, recipients: Iterable[str]) -> bytes:
    """The same for a message that came by SMTP: its sender and its set of recipients."""
    return fingerprint({"from": sender, "to": sorted(set(recipients))})
