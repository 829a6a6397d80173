"""Signatures of webhook deliveries: made here, verified here, pure.

Two families travel on every delivery and are made from the same secrets:

* ``X-QueenSMTP-Signature: t=<unix seconds>,v1=<hex>[,v1=<hex>]`` over ``<t>.<raw body>``;
* the Standard Webhooks headers (``webhook-id``, ``webhook-timestamp``, ``webhook-signature``)
  over ``<id>.<timestamp>.<raw body>``, and the same values again as ``svix-*``.

Each live secret adds one signature to both, so that a receiver may hold the old or the new one
while a rotation overlaps. The key of the HMAC is the decoded bytes of the secret.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence

PREFIX = "whsec_"
SECRET_BYTES = 32
SHORTEST_SECRET_BYTES = 24
LONGEST_SECRET_BYTES = 64
TOLERANCE_SECONDS = 300
# A sender never has more live secrets than this, and a verifier looks at no more signatures.
MOST_SIGNATURES = 10
# Far beyond what `MOST_SIGNATURES` take up; a longer header is not worth splitting.
LONGEST_HEADER = 2048

SIGNATURE_HEADER = "X-QueenSMTP-Signature"
ID_HEADER = "webhook-id"
TIMESTAMP_HEADER = "webhook-timestamp"


class VerificationError(Exception):
    """The delivery is not, or not provably, from the holder of the secret."""


def new_secret() -> str:
    return encode_secret(secrets.token_bytes(SECRET_BYTES))


def encode_secret(key: bytes) -> str:
    """Standard alphabet with padding: the libraries decode nothing else alike."""
    return PREFIX + base64.b64encode(key).decode("ascii")


def decode_secret(secret: str) -> bytes:
    """The HMAC key. Raises ValueError, which never repeats the secret, on any other form."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("The signing secret is not standard base64 with padding.") from None
    if not SHORTEST_SECRET_BYTES <= len(key) <= LONGEST_SECRET_BYTES:
        raise ValueError("The signing secret must hold 24 to 64 bytes.")
    return key


def sign(*, secrets: Sequence[str], id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers that one delivery attempt carries."""
    if not secrets:
        raise ValueError("A delivery needs at least one signing secret.")
    keys = [decode_secret(secret) for secret in secrets]
    ours = [f"v1={_our_digest(key, str(timestamp), body).hex()}" for key in keys]
    standard = " ".join(
        "v1," + base64.b64encode(_standard_digest(key, id, str(timestamp), body)).decode("ascii")
        for key in keys
    )
    return {
        SIGNATURE_HEADER: ",".join([f"t={timestamp}", *ours]),
        **{
            f"{family}-{name}": value
            for family in ("webhook", "svix")
            for name, value in (
                ("id", id),
                ("timestamp", str(timestamp)),
                ("signature", standard),
            )
        },
    }


def verify(
    *,
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now: float | None = None,
    tolerance_seconds: int = TOLERANCE_SECONDS,
) -> None:
    """Raise VerificationError unless one of the secrets signed this body, and lately.

    Reads ``X-QueenSMTP-Signature``. That header does not cover the id of the event, so where
    ``webhook-id`` came along, the Standard Webhooks signature must hold too: a receiver that
    drops repeats by id can then trust the id.
    """
    received = {name.lower(): value for name, value in headers.items()}
    timestamp, candidates = _parse_ours(received.get(SIGNATURE_HEADER.lower(), ""))
    _check_age(timestamp, now=time.time() if now is None else now, tolerance=tolerance_seconds)
    keys = [decode_secret(secret) for secret in secrets]
    if not _any_match([_our_digest(key, timestamp, body) for key in keys], candidates):
        raise VerificationError("No signature matches.")
    if ID_HEADER in received:
        _verify_id(received, keys=keys, timestamp=timestamp, body=body)


def _verify_id(
    received: Mapping[str, str], *, keys: Sequence[bytes], timestamp: str, body: bytes
) -> None:
    if received.get(TIMESTAMP_HEADER) != timestamp:
        raise VerificationError("The two timestamps differ.")
    candidates = list(_standard_candidates(received.get("webhook-signature", "")))
    id = received[ID_HEADER]
    if not _any_match([_standard_digest(key, id, timestamp, body) for key in keys], candidates):
        raise VerificationError("No signature matches the id.")


def _our_digest(key: bytes, timestamp: str, body: bytes) -> bytes:
    return hmac.digest(key, timestamp.encode() + b"." + body, hashlib.sha256)


def _standard_digest(key: bytes, id: str, timestamp: str, body: bytes) -> bytes:
    return hmac.digest(
        key, f"{id}.{timestamp}.".encode("utf-8", "surrogatepass") + body, hashlib.sha256
    )


def _parse_ours(header: str) -> tuple[str, list[bytes]]:
    if not header:
        raise VerificationError(f"The {SIGNATURE_HEADER} header is missing.")
    if len(header) > LONGEST_HEADER:
        raise VerificationError(f"The {SIGNATURE_HEADER} header is too long.")
    parts = [part.strip().partition("=") for part in header.split(",")]
    timestamps = [value for name, _, value in parts if name == "t"]
    if len(timestamps) != 1 or not _is_timestamp(timestamps[0]):
        raise VerificationError("The timestamp is missing or is not a whole number of seconds.")
    signatures = [value for name, _, value in parts if name == "v1"][:MOST_SIGNATURES]
    return timestamps[0], list(_hex_candidates(signatures))


def _is_timestamp(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 12


def _hex_candidates(signatures: Sequence[str]) -> Iterator[bytes]:
    for signature in signatures:
        try:
            yield bytes.fromhex(signature)
        except ValueError:
            continue


def _standard_candidates(header: str) -> Iterator[bytes]:
    if len(header) > LONGEST_HEADER:
        return
    for part in header.split(" ")[:MOST_SIGNATURES]:
        version, _, signature = part.partition(",")
        if version != "v1":
            continue
        try:
            yield base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            continue


def _check_age(timestamp: str, *, now: float, tolerance: int) -> None:
    if abs(now - int(timestamp)) > tolerance:
        raise VerificationError("The timestamp is too old or too far ahead.")


def _any_match(digests: Sequence[bytes], candidates: Sequence[bytes]) -> bool:
    """Compares every pair, whatever matched before, so that the time tells nothing."""
    matches = [
        hmac.compare_digest(digest, candidate) for digest in digests for candidate in candidates
    ]
    return any(matches)
