"""Signatures of witnesses under our checkpoints: C2SP ``tlog-cosignature``, Ed25519. Pure."""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from auditlog.checkpoints import KEY_ID_SIZE, BadCheckpoint, signature_lines, signature_of, text_of

COSIGNATURE = b"\x04"
TIME_SIZE = 8


@dataclass(frozen=True)
class WitnessKey:
    """Whom we ask to cosign, and by which key we know the answer."""

    name: str
    public_key: bytes

    @classmethod
    def parsed(cls, text: str) -> Self:
        """Read ``name+key id+base64`` of type 0x04. Raises ValueError."""
        name, _, rest = text.partition("+")
        key_id, _, encoded = rest.partition("+")
        data = b64decode(encoded, validate=True)
        key = cls(name, data[1:])
        if data[:1] != COSIGNATURE or len(key.public_key) != 32 or key.id.hex() != key_id:
            raise ValueError(f"{text!r} is no witness's key of the form name+id+base64, type 4")
        return key

    @property
    def id(self) -> bytes:
        material = self.name.encode() + b"\n" + COSIGNATURE + self.public_key
        return sha256(material).digest()[:KEY_ID_SIZE]

    def written(self) -> str:
        encoded = b64encode(COSIGNATURE + self.public_key).decode()
        return f"{self.name}+{self.id.hex()}+{encoded}"

    def find_line(self, note: str, answer: str) -> str | None:
        """Return the line of a witness's answer in which it cosigned the note, if it did.

        Lines by unknown keys are passed over; a wrong one by this key is a BadCheckpoint.
        """
        for line in signature_lines(answer):
            name, blob = signature_of(line)
            if (name, blob[:KEY_ID_SIZE]) == (self.name, self.id):
                self._check(text_of(note), blob[KEY_ID_SIZE:])
                return line
        return None

    def _check(self, text: str, signed: bytes) -> None:
        at = int.from_bytes(signed[:TIME_SIZE], "big")
        message = f"cosignature/v1\ntime {at}\n{text}".encode()
        key = Ed25519PublicKey.from_public_bytes(self.public_key)
        try:
            key.verify(signed[TIME_SIZE:], message)
        except InvalidSignature as error:
            raise BadCheckpoint(f"the cosignature by {self.name!r} is wrong") from error
