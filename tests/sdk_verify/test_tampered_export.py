"""Random single-bit changes to an export: each is found by the offline verifier, and named (G1)."""

import json
import os
import random

import pytest
from queensmtp_verify.trust import Trust
from queensmtp_verify.verification import verify

from tests.factories.auditlog import record_many
from tests.sdk_verify.conftest import Files

pytestmark = pytest.mark.django_db

ENTRIES = int(os.environ.get("TAMPER_EXPORTED", "120"))


def test_every_flipped_bit_of_an_export_is_found_and_its_entry_named(
    files: Files, trust: Trust
) -> None:
    """One bit in each line at once: what is said of a line follows from that line alone."""
    seed = random.SystemRandom().randrange(2**32)
    draw = random.Random(seed)
    record_many(ENTRIES, files.cast.hive.pk, event="domain.created")
    path = files.export(event="domain.created")
    header, *lines, end = path.read_bytes().split(b"\n")[:-1]
    changed = [flipped(draw, line) for line in lines]
    path.write_bytes(b"\n".join([header, *changed, end]) + b"\n")

    found = " ".join(finding.place + " " for finding in verify(path, trust).findings)

    missed = [line for number, line in enumerate(lines, 1) if not is_named(number, line, found)]
    print(f"\n{len(lines):,} bits flipped in {len(lines):,} lines, {len(missed)} missed")
    assert missed == [], f"seed {seed}"


def flipped(draw: random.Random, line: bytes) -> bytes:
    """Flip a bit, but make no line end: that would be two changed lines."""
    while True:
        changed = bytearray(line)
        changed[draw.randrange(len(line))] ^= 1 << draw.randrange(8)
        if b"\n" not in changed:
            return bytes(changed)


def is_named(number: int, line: bytes, found: str) -> bool:
    """By its id or its leaf, whichever of them is still readable, or by its place in the file."""
    entry = json.loads(line)
    names = (
        f"entry {entry['id']} ",
        f"(leaf {entry['leaf_index']}) ",
        f"entry number {number} ",
    )
    return any(name in found for name in names)
