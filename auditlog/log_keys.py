"""The log's Ed25519 keys: the private one is known to the sealing process only."""

from base64 import b64decode
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from auditlog.cosignatures import WitnessKey
from auditlog.errors import SigningKeyMissing


def signing_key() -> Ed25519PrivateKey:
    if not settings.AUDIT_SIGNING_KEY:
        raise SigningKeyMissing
    return _private_key(settings.AUDIT_SIGNING_KEY)


def public_keys() -> list[bytes]:
    """Return every key under which a checkpoint of ours may stand: several while one rotates."""
    published = [_decoded("AUDIT_PUBLIC_KEY", text) for text in _listed(settings.AUDIT_PUBLIC_KEY)]
    own = [_public_key(settings.AUDIT_SIGNING_KEY)] if settings.AUDIT_SIGNING_KEY else []
    return list(dict.fromkeys(own + published))


def find_witness() -> WitnessKey | None:
    """Return the witness that is asked to cosign, if there is one."""
    text = settings.AUDIT_WITNESS_KEY
    if not text and not settings.AUDIT_WITNESS_URL:
        return None
    if not text or not settings.AUDIT_WITNESS_URL:
        raise ImproperlyConfigured(
            "A witness needs both AUDIT_WITNESS_URL and AUDIT_WITNESS_KEY: set both, or neither."
        )
    return _witness(text)


@cache
def _witness(text: str) -> WitnessKey:
    try:
        return WitnessKey.parsed(text)
    except ValueError as error:
        raise ImproperlyConfigured(f"AUDIT_WITNESS_KEY: {error}.") from None


@cache
def _private_key(encoded: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_decoded("AUDIT_SIGNING_KEY", encoded))


def _public_key(encoded: str) -> bytes:
    return _private_key(encoded).public_key().public_bytes_raw()


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _decoded(name: str, encoded: str) -> bytes:
    try:
        key = b64decode(encoded, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ImproperlyConfigured(f"{name} must be the base64 of 32 bytes (an Ed25519 key).")
    return key
