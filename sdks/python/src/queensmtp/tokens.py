"""What a key looks like: pattern, checksum, and what may be shown of one. Pure."""

import re
import zlib

PATTERN = re.compile(rb"qs_(?:dev|stag|prod)_[0-9A-Za-z]{54}")
LONGEST = len("qs_stag_") + 54
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_AND_CHECKSUM, _CHECKSUM = 42, 6


def checksum(body: str) -> str:
    """CRC-32 of all that comes before it, as six base62 digits."""
    number, digits = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits


def is_sound(token: str) -> bool:
    """Whether the checksum of what fits the pattern is right."""
    return token[-_CHECKSUM:] == checksum(token[:-_CHECKSUM])


def prefix(token: str) -> str:
    """What may be shown of a key: everything up to its public id …"""
    return token[:-_SECRET_AND_CHECKSUM]


def last4(token: str) -> str:
    """… and its last four characters."""
    return token[-4:]


def masked(token: str) -> str:
    return f"{prefix(token)}…{last4(token)}"
