"""DKIM signatures (RFC 6376, RFC 8463) over `cryptography`. Pure.

Relaxed/relaxed, never with `l=`. The headers by which a reader judges a message are signed once
more than they occur, so that a second From or Subject put on top later breaks the signature.
"""

import base64
import hashlib
import re
from collections.abc import Iterable

from domains.dkim_keys import SigningKey

OVERSIGNED_HEADERS = (
    "from",
    "subject",
    "to",
    "date",
    "reply-to",
    "content-type",
    "list-unsubscribe",
)
SIGNED_HEADERS = (
    "cc",
    "message-id",
    "mime-version",
    "in-reply-to",
    "references",
    "list-unsubscribe-post",
    "list-id",
    "content-transfer-encoding",
)

_WSP_RUN = re.compile(rb"[ \t]+")


def sign(message: bytes, *, keys: Iterable[SigningKey], at: int) -> bytes:
    """The DKIM-Signature fields to put above the message, one for each key, with their CRLF.

    `message` has CRLF line ends only; `at` is the time of signing in Unix seconds.
    """
    header_block, _, body = message.partition(b"\r\n\r\n")
    names, signed = _signed_headers(header_block)
    body_hash = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
    return b"".join(_signature_field(key, names, signed, body_hash, at) for key in keys)


def relaxed_body(body: bytes) -> bytes:
    """RFC 6376 3.4.4. Each step is skipped when a scan finds nothing for it to do."""
    if b"\t" in body:
        body = body.replace(b"\t", b" ")
    while b"  " in body:
        body = body.replace(b"  ", b" ")
    if b" \r\n" in body:
        body = body.replace(b" \r\n", b"\r\n")
    if body.endswith(b" "):
        body = body[:-1]
    while body.endswith(b"\r\n\r\n"):
        body = body[:-2]
    if body in (b"", b"\r\n"):
        return b""
    return body if body.endswith(b"\r\n") else body + b"\r\n"


def relaxed_header(field: bytes) -> bytes:
    """RFC 6376 3.4.2, without the CRLF at the end."""
    name, _, value = field.partition(b":")
    unfolded = value.replace(b"\r\n", b"")
    return name.strip().lower() + b":" + _WSP_RUN.sub(b" ", unfolded).strip(b" \t")


def _signed_headers(header_block: bytes) -> tuple[list[str], bytes]:
    """The `h=` list and the canonical headers that it stands for, from the bottom up (5.4.2)."""
    fields: dict[str, list[bytes]] = {}
    for field in _unjoined(header_block):
        name = field.partition(b":")[0].strip().lower().decode("ascii", "replace")
        fields.setdefault(name, []).append(field)
    names: list[str] = []
    canonical: list[bytes] = []
    for name in (*OVERSIGNED_HEADERS, *SIGNED_HEADERS):
        present = fields.get(name, [])
        names += [name] * len(present)
        canonical += [relaxed_header(field) + b"\r\n" for field in reversed(present)]
    return [*names, *OVERSIGNED_HEADERS], b"".join(canonical)


def _unjoined(header_block: bytes) -> list[bytes]:
    fields: list[bytes] = []
    for line in header_block.split(b"\r\n"):
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] += b"\r\n" + line
        else:
            fields.append(line)
    return fields


def _signature_field(
    key: SigningKey, names: list[str], signed: bytes, body_hash: str, at: int
) -> bytes:
    unsigned = "\r\n\t".join(
        [
            f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed;",
            f"d={key.domain}; s={key.selector};",
            f"t={at};",
            f"h={_folded(names)};",
            f"bh={body_hash};",
            "b=",
        ]
    ).encode("ascii")
    signature = base64.b64encode(key.sign(signed + relaxed_header(unsigned))).decode()
    lines = [signature[i : i + 72] for i in range(0, len(signature), 72)]
    return unsigned + "\r\n\t ".join(lines).encode("ascii") + b"\r\n"


def _folded(names: list[str]) -> str:
    lines = [":".join(names[i : i + 6]) for i in range(0, len(names), 6)]
    return ":\r\n\t ".join(lines)
