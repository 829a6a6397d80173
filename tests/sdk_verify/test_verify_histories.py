"""Two files of one log: a tail that was cut off, a rolled back log, and a fork are found (G2)."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import LazySettings
from django.utils import timezone
from queensmtp_verify.comparison import compare, read_proof
from queensmtp_verify.notes import Key
from queensmtp_verify.trust import Trust
from queensmtp_verify.verification import Report, verify

from auditlog import checkpoints, publication
from auditlog.checkpoints import Checkpoint
from tests.factories.auditlog import leave_waiting, record_many, seal
from tests.roles import as_role
from tests.sdk_verify.conftest import Files, found, report_of

pytestmark = pytest.mark.django_db

THIEF = Ed25519PrivateKey.generate()
STOLEN = Trust(keys=(Key(THIEF.public_key().public_bytes_raw()),))


def two_exports(files: Files) -> tuple[Path, Path]:
    older = files.export(event="domain.created")
    record_many(2, files.cast.hive.pk, event="domain.created")
    leave_waiting(300, files.cast.hive.pk)
    return older, files.export(event="domain.created")


def problems(one: Report, other: Report, proof: list[bytes] | None = None) -> str:
    return "\n".join(map(str, compare(one, other, proof)))


def test_two_exports_and_their_proof_tell_one_history(files: Files, trust: Trust) -> None:
    older, newer = (report_of(path, trust) for path in two_exports(files))
    assert older.checkpoint and newer.checkpoint
    proof = read_proof(files.consistency(older.checkpoint.size, newer.checkpoint.size))
    assert problems(older, newer, proof) == ""
    assert problems(newer, older, proof) == ""
    assert "not proven" in problems(older, newer)
    assert "two histories" in problems(older, newer, proof[:-1])


def test_a_whole_export_needs_no_proof(files: Files, trust: Trust) -> None:
    older = report_of(files.export(reads=True), trust)
    record_many(5, files.cast.hive.pk)
    newer = report_of(files.export(reads=True), trust)
    assert problems(older, newer) == ""
    newer.leaves[1] = bytes(32)
    assert "leaf 1 is not the same" in problems(older, newer)
    assert "have another root" in problems(older, newer)


def forged(files: Files, size: int, root: bytes) -> Path:
    """A checkpoint by somebody who stole the log's key."""
    origin = f"localhost/{files.cast.hive.pk}"
    return files.write(checkpoints.sign(Checkpoint(origin, size, root), THIEF).encode())


def test_a_history_rewritten_with_the_stolen_key_contradicts_what_a_tenant_holds(
    files: Files, trust: Trust
) -> None:
    held = report_of(files.export(reads=True), trust)
    assert held.checkpoint
    rewritten = report_of(forged(files, held.checkpoint.size, bytes(32)), STOLEN)
    assert rewritten.findings == []
    assert "two histories" in problems(held, rewritten)
    longer = report_of(forged(files, held.checkpoint.size + 5, bytes(32)), STOLEN)
    assert "two histories" in problems(held, longer, [bytes(32)] * 3)


def test_a_log_that_was_cut_back_contradicts_a_newer_checkpoint(files: Files, trust: Trust) -> None:
    older, newer = two_exports(files)
    cut_back = report_of(older, trust)
    assert "not proven" in problems(cut_back, report_of(newer, trust))


def test_a_file_of_checkpoints_shows_a_fork(files: Files) -> None:
    notes = [
        forged(files, size, root).read_text() for size, root in ((3, b"a" * 32), (3, b"b" * 32))
    ]
    lines = [
        {
            "object": "checkpoint",
            "size": 3,
            "root_hash": note.split("\n")[2],
            "note": note,
        }
        for note in notes
    ]
    path = files.write(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    assert found(path, STOLEN).startswith("line 2: another root was signed for the same 3 leaves")


def test_the_file_that_the_sealer_writes_is_good(
    files: Files, trust: Trust, settings: LazySettings
) -> None:
    path = files.folder / "checkpoints.jsonl"
    settings.AUDIT_CHECKPOINTS_FILE = str(path)
    seal()
    with as_role("worker"):
        publication.publish_due(now=timezone.now())
        publication.write_file()
    assert (verify(path, trust).kind, found(path, trust)) == ("checkpoints", "")


def test_the_api_s_checkpoint_is_good_as_a_note_and_as_json(files: Files, trust: Trust) -> None:
    seal()
    body = files.checkpoint()
    assert found(files.write(body["note"].encode()), trust) == ""
    assert found(files.write(json.dumps(body).encode()), trust) == ""
    assert "no key" in found(files.write(body["note"].encode()), STOLEN)
