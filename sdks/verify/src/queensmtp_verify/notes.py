"""C2SP signed notes: checkpoints of a log, its signatures, and cosignatures of witnesses."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from queensmtp_verify.findings import Malformed
from queensmtp_verify.tree import HASH_SIZE

DASH = "\u2014 "
LOG = 0x01
WITNESS = 0x04
KEY_ID_SIZE = 4
KEY_SIZE = 32
TIME_SIZE = 8
SIGNATURE_SIZE = 64
MOST_SIGNATURES = 64
LARGEST_SIZE = 2**63 - 1


@dataclass(frozen=True)
class Key:
    """An Ed25519 key that is trusted. Without a name it speaks for a log of any name."""

    public: bytes
    name: str | None = None
    kind: int = LOG

    def id_for(self, name: str) -> bytes:
        return sha256(name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[
            :KEY_ID_SIZE
        ]

    def written(self) -> str:
        """Return the key as `name+key id+base64`, as note verifiers take it."""
        name = self.name or ""
        encoded = b64encode(bytes([self.kind]) + self.public).decode()
        return f"{name}+{self.id_for(name).hex()}+{encoded}"


@dataclass(frozen=True)
class Signature:
    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True)
class Checkpoint:
    """What a log states of itself, and who signed it."""

    text: str
    origin: str
    size: int
    root: bytes
    signatures: tuple[Signature, ...]


def read_key(text: str) -> Key:
    """Read `name+key id+base64` or the bare base64 of 32 bytes."""
    name, plus, rest = text.strip().partition("+")
    key_id, second_plus, encoded = rest.partition("+")
    if not (plus and second_plus and len(key_id) == 2 * KEY_ID_SIZE):
        return Key(_decoded(text.strip(), KEY_SIZE))
    data = _decoded(encoded, KEY_SIZE + 1)
    key = Key(data[1:], name, data[0])
    if key.kind not in (LOG, WITNESS):
        raise Malformed(f"{name}: keys of type {key.kind:#04x} are not known here")
    if key.id_for(name).hex() != key_id.lower():
        raise Malformed(f"{name}: the key id is not that of the key; was it cut or mistyped?")
    return key


def read_checkpoint(note: str) -> Checkpoint:
    """Read a checkpoint's note. Nothing is verified yet."""
    text, separator, signatures = note.rpartition("\n\n")
    if not separator:
        raise Malformed("a note is a text, an empty line and signatures")
    origin, size, root = _three_lines(text)
    if not is_number(size):
        raise Malformed("the tree size is a decimal number without leading zeros")
    return Checkpoint(
        text=text + "\n",
        origin=origin,
        size=int(size),
        root=_decoded(root, HASH_SIZE),
        signatures=tuple(_signatures(signatures)),
    )


def is_number(text: str) -> bool:
    """Whether a text is a whole number in its one spelling, small enough for a tree."""
    plain = text.isascii() and text.isdigit() and len(text) < 20 and text == str(int(text))
    return plain and int(text) <= LARGEST_SIZE


def is_signed(checkpoint: Checkpoint, keys: Sequence[Key]) -> bool:
    """Say whether a trusted key of the log signed it. A wrong signature by one is Malformed."""
    signed = [
        _is_good(checkpoint, signature, key)
        for signature in checkpoint.signatures
        for key in keys
        if key.kind == LOG and signature.name == checkpoint.origin
        if key.name in (None, checkpoint.origin)
    ]
    return any(signed)


def cosigned_at(checkpoint: Checkpoint, witness: Key) -> int | None:
    """Return when a witness cosigned, in seconds since the epoch; None when it did not."""
    name = witness.name or ""
    for signature in checkpoint.signatures:
        if (signature.name, signature.key_id) == (name, witness.id_for(name)):
            return _check_cosignature(checkpoint, signature, witness)
    return None


def cosign(checkpoint: Checkpoint, *, name: str, key: Ed25519PrivateKey, at: int) -> str:
    """Return a witness's signature line, with its newline."""
    public = Key(key.public_key().public_bytes_raw(), name, WITNESS)
    signed = key.sign(_cosigned_message(checkpoint, at))
    blob = public.id_for(name) + at.to_bytes(TIME_SIZE, "big") + signed
    return f"{DASH}{name} {b64encode(blob).decode()}\n"


def _check_cosignature(checkpoint: Checkpoint, signature: Signature, witness: Key) -> int:
    if len(signature.value) != TIME_SIZE + SIGNATURE_SIZE:
        raise Malformed(f"the cosignature by {signature.name} is not whole")
    at = int.from_bytes(signature.value[:TIME_SIZE], "big")
    message = _cosigned_message(checkpoint, at)
    if not _verifies(witness.public, signature.value[TIME_SIZE:], message):
        raise Malformed(f"the cosignature by {signature.name} is wrong")
    return at


def _cosigned_message(checkpoint: Checkpoint, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{checkpoint.text}".encode()


def _is_good(checkpoint: Checkpoint, signature: Signature, key: Key) -> bool:
    if signature.key_id != key.id_for(checkpoint.origin):
        return False
    if not _verifies(key.public, signature.value, checkpoint.text.encode()):
        raise Malformed(f"the signature by {signature.name} is wrong")
    return True


def _verifies(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _three_lines(text: str) -> list[str]:
    lines = text.split("\n")
    if len(lines) != 3 or not all(lines):
        raise Malformed("a checkpoint is three lines: origin, size and root")
    if any(character < " " for line in lines for character in line):
        raise Malformed("a note holds no control characters")
    return lines


def _signatures(text: str) -> list[Signature]:
    *lines, last = text.split("\n")
    if last or not 0 < len(lines) <= MOST_SIGNATURES:
        raise Malformed("signature lines end in a newline, and are neither none nor too many")
    return [_signature(line) for line in lines]


def _signature(line: str) -> Signature:
    name, _, encoded = line.removeprefix(DASH).partition(" ")
    if not line.startswith(DASH) or not name or "+" in name:
        raise Malformed("a signature line is a dash, a key name and a signature")
    blob = _decoded(encoded)
    if len(blob) <= KEY_ID_SIZE:
        raise Malformed("a signature is a key id and more")
    return Signature(name, blob[:KEY_ID_SIZE], blob[KEY_ID_SIZE:])


def _decoded(text: str, length: int | None = None) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        raise Malformed(f"{text!r} is not base64") from None
    # A second spelling of the same bytes is a changed note.
    if b64encode(data).decode() != text:
        raise Malformed(f"{text!r} is not canonical base64")
    if length is not None and len(data) != length:
        raise Malformed(f"{text!r} is not {length} bytes in base64")
    return data


def read_hash(text: object) -> bytes:
    if not isinstance(text, str):
        raise Malformed("a hash is a text in base64")
    return _decoded(text, HASH_SIZE)


def read_bytes(text: object) -> bytes:
    if not isinstance(text, str):
        raise Malformed("bytes are a text in base64")
    return _decoded(text)
