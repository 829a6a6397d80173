"""`queensmtp-verify`: is this file what was signed? Exit code 0: yes; 1: no; 2: it was not read."""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from queensmtp_verify.comparison import compare, read_proof
from queensmtp_verify.findings import Finding, Malformed
from queensmtp_verify.notes import cosigned_at
from queensmtp_verify.trust import Trust, read_keys, read_witness
from queensmtp_verify.verification import Report, verify

GOOD, BAD, UNREAD = 0, 1, 2
SHOWN = 100


def main(arguments: Sequence[str] | None = None) -> int:
    asked = _parser().parse_args(arguments)
    try:
        return _run(asked)
    except (OSError, Malformed) as error:
        print(f"queensmtp-verify: {error}", file=sys.stderr)
        return UNREAD


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="queensmtp-verify",
        description="Check an export, a receipt or a checkpoint of a QueenSMTP audit log, offline.",
    )
    parser.add_argument("file", type=Path, help="an export (JSON Lines, CSV), receipt, checkpoint")
    parser.add_argument(
        "--key",
        action="append",
        required=True,
        metavar="KEY",
        help="a public key of the log: base64, `name+id+base64`, or a file of them; repeatable",
    )
    parser.add_argument(
        "--witness",
        action="append",
        default=[],
        metavar="KEY",
        help="a witness that must have cosigned, as `name+id+base64`; repeatable",
    )
    parser.add_argument("--origin", help="the log that you expect: `<host>/<account id>`")
    parser.add_argument(
        "--manifest",
        type=Path,
        metavar="FILE",
        help="the export's manifest: its checkpoint, which a CSV does not hold, and its SHA-256",
    )
    parser.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="the note of a CSV's checkpoint alone"
    )
    parser.add_argument("--sha256", metavar="HEX", help="the file's hash alone")
    parser.add_argument(
        "--with", dest="other", type=Path, metavar="FILE", help="another file of the same log"
    )
    parser.add_argument(
        "--consistency", type=Path, metavar="FILE", help="the consistency proof between the two"
    )
    return parser


def _run(asked: argparse.Namespace) -> int:
    trust = Trust(
        keys=tuple(key for given in asked.key for key in read_keys(given)),
        witnesses=tuple(map(read_witness, asked.witness)),
        origin=asked.origin,
    )
    manifest = _manifest(asked)
    compares = asked.other is not None
    report = verify(asked.file, trust, note=manifest.note, keep_leaves=compares)
    if manifest.sha256 and hash_of(asked.file) != manifest.sha256.lower():
        reason = "its bytes are not those whose SHA-256 you gave"
        report.findings.append(Finding("file", reason))
    findings = _shown(asked.file, report, trust)
    if compares:
        other = verify(asked.other, trust, note=manifest.note, keep_leaves=True)
        findings += _shown(asked.other, other, trust)
        proof = read_proof(asked.consistency) if asked.consistency else None
        findings += _told(compare(report, other, proof), "the two files tell one history")
    return BAD if findings else GOOD


class Manifest(NamedTuple):
    """What is known of a file from beside it."""

    note: str | None = None
    sha256: str | None = None


def _manifest(asked: argparse.Namespace) -> Manifest:
    found = read_manifest(asked.manifest) if asked.manifest else Manifest()
    note = asked.checkpoint.read_text() if asked.checkpoint else found.note
    return Manifest(note, asked.sha256 or found.sha256)


def read_manifest(path: Path) -> Manifest:
    try:
        body = json.loads(path.read_bytes())
        note, sha256 = body["checkpoint"]["note"], body["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"{path} is no manifest of a finished export") from error
    if not (isinstance(note, str) and isinstance(sha256, str)):
        raise Malformed(f"{path} is no manifest of a finished export")
    return Manifest(note, sha256)


def hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _shown(path: Path, report: Report, trust: Trust) -> int:
    print(f"{path}: {report.kind}, {_described(report, trust)}")
    return _told(report.findings, "everything is as it was signed")


def _described(report: Report, trust: Trust) -> str:
    if report.checkpoint is None:
        return "which cannot be read"
    checkpoint = report.checkpoint
    parts = [f"log {checkpoint.origin}, {checkpoint.size} leaves, root {checkpoint.root.hex()}"]
    if report.kind == "checkpoints":
        parts.insert(0, f"{report.entry_count} lines")
        parts[1] = "the last of " + parts[1]
    elif report.kind != "checkpoint":
        entries = "entry" if report.entry_count == 1 else "entries"
        parts.insert(0, f"{report.entry_count} {entries}")
    if report.is_good:
        for witness in trust.witnesses:
            seen = datetime.fromtimestamp(cosigned_at(checkpoint, witness) or 0, UTC)
            parts.append(f"seen by {witness.name} at {seen:%Y-%m-%d %H:%M:%S} UTC")
    return ", ".join(parts)


def _told(findings: Sequence[Finding], otherwise: str) -> int:
    for finding in findings[:SHOWN]:
        print(f"  WRONG  {finding}")
    if len(findings) > SHOWN:
        print(f"  WRONG  and {len(findings) - SHOWN} more")
    if not findings:
        print(f"  good   {otherwise}")
    return len(findings)
