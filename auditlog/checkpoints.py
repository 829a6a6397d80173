"""Checkpoints: a tree's size and root as a signed note that the whole world can read.

The text is C2SP ``tlog-checkpoint``, the envelope C2SP ``signed-note`` with Ed25519 (type 0x01). A
log's key name is its origin, so one key pair signs for many logs and no note passes for another.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from auditlog.merkle import HASH_SIZE

ED25519 = b"\x01"
KEY_ID_SIZE = 4
SIGNATURE_SIZE = 64
# C2SP asks verifiers to take at least 16 signatures and to set a limit.
MOST_SIGNATURES = 64

_DASH = "\u2014 "


class BadCheckpoint(ValueError):
    """The note is malformed, or no key that we know has signed it."""


@dataclass(frozen=True)
class Checkpoint:
    """What a log states about itself: who it is, how many leaves it has, and their root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def parsed(cls, text: str) -> Self:
        origin, size, root, *extensions = _lines(text)
        if extensions:
            raise BadCheckpoint("extension lines are not audited, so none is accepted")
        if not (size.isascii() and size.isdecimal()) or size != str(int(size)):
            raise BadCheckpoint("the tree size is a decimal number without leading zeros")
        return cls(origin=origin, size=int(size), root=_decoded(root, length=HASH_SIZE))


def origin_of(host: str, account_id: object) -> str:
    return f"{host}/{account_id}"


def origin_stated(note: str) -> str:
    """Return the origin that a note of our own states."""
    return note.partition("\n")[0]


def encoded(value: bytes) -> str:
    return b64encode(value).decode()


def key_id(name: str, public_key: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + ED25519 + public_key).digest()[:KEY_ID_SIZE]


def verifier_key(name: str, public_key: bytes) -> str:
    """Return the key in the form that note verifiers take: ``name+key id+base64``."""
    encoded = b64encode(ED25519 + public_key).decode()
    return f"{name}+{key_id(name, public_key).hex()}+{encoded}"


def sign(checkpoint: Checkpoint, private_key: Ed25519PrivateKey) -> str:
    """Return the checkpoint as a note, signed under its origin's name."""
    return sign_note(checkpoint.text(), name=checkpoint.origin, private_key=private_key)


def verify(note: str, *, origin: str, public_keys: list[bytes]) -> Checkpoint:
    """Return what a note states, if one of the keys signed it for this origin."""
    known = {(origin, key_id(origin, key)): key for key in public_keys}
    checkpoint = Checkpoint.parsed(open_note(note, known))
    if checkpoint.origin != origin:
        raise BadCheckpoint(f"the note speaks for {checkpoint.origin!r}, not for {origin!r}")
    return checkpoint


def sign_note(text: str, *, name: str, private_key: Ed25519PrivateKey) -> str:
    _lines(text)
    if not name or "+" in name or name.split() != [name]:
        raise BadCheckpoint(f"{name!r} is no key name")
    public_key = private_key.public_key().public_bytes_raw()
    signature = key_id(name, public_key) + private_key.sign(text.encode())
    return f"{text}\n{_DASH}{name} {b64encode(signature).decode()}\n"


def open_note(note: str, known: Mapping[tuple[str, bytes], bytes]) -> str:
    """Return the note's text when a known key (by name and key id) signed it.

    Unknown signatures are passed over, as C2SP asks, so that keys can rotate and witnesses can
    cosign. A bad signature by a known key spoils the whole note.
    """
    text = text_of(note)
    verified = [_is_signed(text, line, known) for line in signature_lines(note[len(text) + 1 :])]
    if not any(verified):
        raise BadCheckpoint("no known key has signed the note")
    return text


def text_of(note: str) -> str:
    """Return the signed part of a note."""
    text, found, _ = note.rpartition("\n\n")
    if not found:
        raise BadCheckpoint("a note is a text, an empty line and signatures")
    _lines(text + "\n")
    return text + "\n"


def signature_lines(signatures: str) -> list[str]:
    *lines, last = signatures.split("\n")
    if last or not 0 < len(lines) <= MOST_SIGNATURES:
        raise BadCheckpoint("signature lines end in a newline, and are neither none nor too many")
    return lines


def _is_signed(text: str, line: str, known: Mapping[tuple[str, bytes], bytes]) -> bool:
    name, blob = signature_of(line)
    public_key = known.get((name, blob[:KEY_ID_SIZE]))
    if public_key is None:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(blob[KEY_ID_SIZE:], text.encode())
    except InvalidSignature as error:
        raise BadCheckpoint(f"the signature by {name!r} is wrong") from error
    return True


def signature_of(line: str) -> tuple[str, bytes]:
    """Return a signature line's key name, and its key id and signature."""
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not name or not encoded or "+" in name:
        raise BadCheckpoint("a signature line is a dash, a key name and a signature")
    return name, _decoded(encoded)


def _lines(text: str) -> list[str]:
    """Return the lines of a checkpoint's text, which are at least three and never empty."""
    *lines, last = text.split("\n")
    if last or len(lines) < 3 or not all(lines):
        raise BadCheckpoint("a checkpoint is at least three lines, each ending in a newline")
    if any(character < " " for line in lines for character in line):
        raise BadCheckpoint("a note holds no control characters")
    return lines


def _decoded(encoded: str, *, length: int | None = None) -> bytes:
    try:
        data = b64decode(encoded, validate=True)
    except (Base64Error, ValueError) as error:
        raise BadCheckpoint(f"{encoded!r} is not base64") from error
    # Base64 has spare bits at its end; a second spelling of the same bytes is a changed note.
    if b64encode(data).decode() != encoded or len(data) < KEY_ID_SIZE:
        raise BadCheckpoint(f"{encoded!r} is not canonical base64")
    if length is not None and len(data) != length:
        raise BadCheckpoint(f"{encoded!r} is not {length} bytes")
    return data
