"""Whom the verifier believes: the log's public keys, and witnesses if it asks for them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from queensmtp_verify.findings import Finding, Malformed
from queensmtp_verify.notes import (
    WITNESS,
    Checkpoint,
    Key,
    cosigned_at,
    is_signed,
    read_checkpoint,
    read_key,
)


@dataclass(frozen=True)
class Trust:
    """Keys of the log (several, when one was rotated), and witnesses that must have cosigned."""

    keys: tuple[Key, ...]
    witnesses: tuple[Key, ...] = ()
    # The log that is expected, `<host>/<account id>`; None takes any that the keys signed for.
    origin: str | None = None

    def findings(self, note: str) -> tuple[Checkpoint | None, list[Finding]]:
        """Read a checkpoint's note and say what is wrong with it."""
        try:
            checkpoint = read_checkpoint(note)
            problems = list(self._problems(checkpoint))
        except Malformed as error:
            return None, [Finding("checkpoint", str(error))]
        return checkpoint, [Finding("checkpoint", problem) for problem in problems]

    def _problems(self, checkpoint: Checkpoint) -> Iterable[str]:
        if self.origin is not None and checkpoint.origin != self.origin:
            yield f"it speaks for {checkpoint.origin}, not for {self.origin}"
        if not is_signed(checkpoint, self.keys):
            yield "no key that you trust has signed it"
        for witness in self.witnesses:
            if cosigned_at(checkpoint, witness) is None:
                yield f"the witness {witness.name} has not cosigned it"


def read_keys(given: str) -> list[Key]:
    """Read a key, or a file of keys: one a line, or the JSON of `/.well-known/audit-log-keys`."""
    try:
        return [read_key(given)]
    except Malformed:
        # A mistyped key and the path of a file look alike until the file is there.
        path = Path(given)
        if len(given) > 4096 or not path.is_file():
            raise
    text = path.read_text()
    if text.lstrip().startswith("{"):
        return [read_key(each["public_key"]) for each in json.loads(text)["keys"]]
    return [read_key(line) for line in text.splitlines() if line.strip()]


def read_witness(given: str) -> Key:
    key = read_key(given)
    if key.kind != WITNESS:
        raise Malformed("a witness is given as `name+key id+base64`, of type 4 (cosignature)")
    return key
