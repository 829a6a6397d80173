"""The key string: `qs_<env>_<id12><secret36><crc6>`, all base62 (`design.md` 3.2).

Pure: no database, no request, no settings.
"""

import base64
import hashlib
import hmac
import re
import secrets
import zlib
from dataclasses import dataclass
from enum import StrEnum

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH, SECRET_LENGTH, CHECKSUM_LENGTH = 12, 36, 6

# Published, so that secret scanners can find leaked keys.
PATTERN = re.compile(r"qs_(dev|stag|prod)_[0-9A-Za-z]{54}")


class Environment(StrEnum):
    DEVELOPMENT = "development"
    STAGING = "staging"
    PRODUCTION = "production"


PREFIXES = {
    Environment.DEVELOPMENT: "dev",
    Environment.STAGING: "stag",
    Environment.PRODUCTION: "prod",
}


@dataclass(frozen=True, slots=True)
class Token:
    """A well-formed token. `text` is the secret itself: it is never stored or logged."""

    text: str
    public_id: str

    def __repr__(self) -> str:
        return f"Token({self.public_id}…)"

    @property
    def prefix(self) -> str:
        """What may be shown: everything up to the public id."""
        return self.text[: -(SECRET_LENGTH + CHECKSUM_LENGTH)]

    @property
    def last4(self) -> str:
        return self.text[-4:]


def mint(environment: Environment) -> Token:
    """A new token with 214 bits of secret."""
    public_id, secret = _random(ID_LENGTH), _random(SECRET_LENGTH)
    text = f"qs_{PREFIXES[environment]}_{public_id}{secret}"
    return Token(text=text + checksum(text), public_id=public_id)


def parse(text: str) -> Token | None:
    """The token that `text` is, byte for byte, or None. Touches no database."""
    if not PATTERN.fullmatch(text) or not text.isascii():
        return None
    body, given = text[:-CHECKSUM_LENGTH], text[-CHECKSUM_LENGTH:]
    if given != checksum(body):
        return None
    start = text.rindex("_") + 1
    return Token(text=text, public_id=text[start : start + ID_LENGTH])


def checksum(body: str) -> str:
    """CRC-32 of all that comes before it, as six base62 digits."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, 62)
        digits = ALPHABET[digit] + digits
    return digits


def masked(text: str) -> str:
    """A text in which every key is cut down to what may be shown of it."""
    secret = SECRET_LENGTH + CHECKSUM_LENGTH
    return PATTERN.sub(lambda found: f"{found[0][:-secret]}…{found[0][-4:]}", text)


def digest(token: Token, *, pepper: str) -> bytes:
    """HMAC-SHA-256 of the whole token under a pepper (base64 of 32 bytes).

    The secret has over 200 bits: a fast keyed hash is right, a slow one would only cost.
    """
    return hmac.new(base64.b64decode(pepper), token.text.encode(), hashlib.sha256).digest()


def same(one: bytes, other: bytes) -> bool:
    """Compare digests in constant time."""
    return hmac.compare_digest(one, other)


def _random(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
