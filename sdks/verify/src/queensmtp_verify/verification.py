"""Checks a file of an audit log. No network, no database: only the file and whom you trust."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from queensmtp_verify import entries, tree
from queensmtp_verify.exports import JsonLines, Row, csv_rows
from queensmtp_verify.findings import Finding, Malformed
from queensmtp_verify.notes import Checkpoint
from queensmtp_verify.receipts import FIRST_LINE, read_receipt
from queensmtp_verify.trust import Trust


@dataclass
class Report:
    """What a file is, what it holds, and everything that is wrong with it."""

    kind: str
    checkpoint: Checkpoint | None = None
    entry_count: int = 0
    findings: list[Finding] = field(default_factory=list)
    # The leaf hash of each entry, when the files are to be compared.
    leaves: dict[int, bytes] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return not self.findings

    @property
    def account_id(self) -> str:
        return self.checkpoint.origin.rpartition("/")[2] if self.checkpoint else ""


def verify(
    path: str | Path, trust: Trust, *, note: str | None = None, keep_leaves: bool = False
) -> Report:
    """Check an export, a receipt, a checkpoint or a file of checkpoints.

    A CSV holds no checkpoint: give its note. With ``keep_leaves`` the report can be compared.
    """
    # Lines end in "\n" alone: inside of JSON and CSV other ends are text. A byte that is not UTF-8
    # becomes a surrogate, which no entry and no note may hold, so the entry with it is named.
    with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        return _verify(file, trust, note, keep_leaves)


def _verify(file: TextIO, trust: Trust, note: str | None, keep_leaves: bool) -> Report:
    first = file.readline()
    lines = chain([first], file)
    if first.rstrip("\n") == FIRST_LINE:
        return _verify_receipt("".join(lines), trust)
    if first.startswith("{"):
        if _kind(first) == "checkpoint":
            return _verify_checkpoints(lines, trust)
        return _verify_json_lines(lines, trust, keep_leaves)
    if first.startswith("leaf_index,"):
        return _verify_csv(lines, trust, note, keep_leaves)
    checkpoint, findings = trust.findings("".join(lines))
    return Report("checkpoint", checkpoint, findings=findings)


def _kind(line: str) -> Any:
    try:
        return json.loads(line).get("object")
    except (ValueError, AttributeError):
        return None


# --- Receipts and checkpoints --------------------------------------------------------------------


def _verify_receipt(text: str, trust: Trust) -> Report:
    report = Report("receipt")
    try:
        receipt = read_receipt(text)
    except Malformed as error:
        report.findings.append(Finding("receipt", str(error)))
        return report
    report.checkpoint, report.findings = trust.findings(receipt.note)
    if report.checkpoint is not None:
        row = Row(receipt.leaf_index, [receipt.entry], receipt.leaf_data, receipt.hashes)
        _Rows(report, report.account_id, keep_leaves=True).check([row])
    return report


def _verify_checkpoints(lines: Iterable[str], trust: Trust) -> Report:
    """Check each line of a file of published checkpoints; the report keeps the last one."""
    report = Report("checkpoints")
    roots: dict[tuple[str, int], bytes] = {}
    for number, line in enumerate(lines, start=1):
        found = [*_checkpoint_findings(line, trust, report, roots)]
        report.findings += [Finding(f"line {number}", each) for each in found]
        report.entry_count += 1
    return report


def _checkpoint_findings(
    line: str, trust: Trust, report: Report, roots: dict[tuple[str, int], bytes]
) -> Iterator[str]:
    try:
        body = json.loads(line)
        note, size, root_hash = body["note"], body["size"], body["root_hash"]
    except (ValueError, KeyError, TypeError):
        yield "it is no checkpoint; was its end cut off?"
        return
    checkpoint, findings = trust.findings(note)
    yield from (each.reason for each in findings)
    if checkpoint is None:
        return
    report.checkpoint = checkpoint
    yield from _stated_differently(checkpoint, size, root_hash)
    known = roots.setdefault((checkpoint.origin, checkpoint.size), checkpoint.root)
    if known != checkpoint.root:
        yield f"another root was signed for the same {checkpoint.size} leaves: two histories"


def _stated_differently(checkpoint: Checkpoint, size: object, root_hash: object) -> Iterator[str]:
    note_root = checkpoint.text.split("\n")[2]
    if (checkpoint.size, note_root) != (size, root_hash):
        yield "its note states another size or root"


# --- Exports -------------------------------------------------------------------------------------


def _verify_json_lines(lines: Iterator[str], trust: Trust, keep_leaves: bool) -> Report:
    report = Report("export")
    try:
        export = JsonLines(lines)
    except Malformed as error:
        report.findings.append(Finding("header", str(error)))
        return report
    header = export.header
    report.checkpoint, report.findings = trust.findings(header.note)
    if report.checkpoint is None:
        return report
    report.findings += [
        Finding("header", each)
        for each in _stated_differently(report.checkpoint, header.size, header.root_hash)
    ]
    if header.account_id != report.account_id:
        report.findings.append(Finding("header", "its checkpoint is that of another account"))
    _Rows(report, header.account_id, keep_leaves=keep_leaves).check(export.rows())
    _check_end(report, export)
    return report


def _check_end(report: Report, export: JsonLines) -> None:
    if export.row_count is None:
        report.findings.append(Finding("end", "the last line is missing: the file was cut off"))
    elif export.row_count != report.entry_count:
        reason = f"it counts {export.row_count} entries, there are {report.entry_count}"
        report.findings.append(Finding("end", reason))
    if export.has_more():
        report.findings.append(Finding("end", "something stands after the last line"))


def _verify_csv(lines: Iterator[str], trust: Trust, note: str | None, keep_leaves: bool) -> Report:
    report = Report("export")
    if note is None:
        reason = "a CSV holds none: give the export's manifest, or the note of its checkpoint"
        report.findings.append(Finding("checkpoint", reason))
        return report
    report.checkpoint, report.findings = trust.findings(note)
    if report.checkpoint is not None:
        _Rows(report, report.account_id, keep_leaves=keep_leaves).check(csv_rows(lines))
    return report


class _Rows:
    """Checks entries one by one against a checkpoint, and all of them if the file is complete."""

    def __init__(self, report: Report, account_id: str, *, keep_leaves: bool) -> None:
        assert report.checkpoint is not None
        self._report = report
        self._checkpoint = report.checkpoint
        self._account_id = account_id
        self._keeps = keep_leaves
        # Grows while the file holds every leaf from the first on.
        self._tree: tree.Growing | None = tree.Growing()
        self._last = -1
        self._unproven = 0

    def check(self, rows: Iterable[Row | Malformed]) -> None:
        for row in rows:
            self._report.entry_count += 1
            if isinstance(row, Malformed):
                self._tree = None
                place = f"entry number {self._report.entry_count}"
                self._report.findings.append(Finding(place, str(row)))
            else:
                self._check(row)
        self._check_whole()

    def _check(self, row: Row) -> None:
        try:
            problems = list(self._problems(row))
        except (Malformed, KeyError, TypeError, ValueError, AttributeError) as error:
            self._tree = None
            problems = [f"it is not of the form of an entry ({error})"]
        place = f"entry {row.entry.get('id')} (leaf {row.leaf_index})"
        self._report.findings += [Finding(place, problem) for problem in problems]
        self._last = row.leaf_index

    def _problems(self, row: Row) -> Iterator[str]:
        if row.leaf_index <= self._last:
            yield f"it stands after leaf {self._last}"
        if not 0 <= row.leaf_index < self._checkpoint.size:
            yield f"the checkpoint has {self._checkpoint.size} leaves"
        if problem := entries.misshapen(row.entry, row.leaf_index):
            yield problem
        if row.leaf_data is None:
            yield from self._problems_without_proof(row)
            return
        yield from _least_differences(row, self._account_id)
        leaf = tree.leaf_hash(row.leaf_data.encode())
        self._grow(row.leaf_index, leaf)
        computed = tree.root_of_inclusion(
            leaf, index=row.leaf_index, size=self._checkpoint.size, proof=row.hashes or []
        )
        if computed != self._checkpoint.root:
            yield "its proof does not lead to the checkpoint's root"

    def _problems_without_proof(self, row: Row) -> Iterator[str]:
        self._unproven += 1
        data = entries.leaf_data(row.entry, self._account_id)
        if data is None:
            self._tree = None
            return
        self._grow(row.leaf_index, tree.leaf_hash(data))
        yield from ()

    def _grow(self, index: int, leaf: bytes) -> None:
        if self._keeps:
            self._report.leaves[index] = leaf
        if self._tree is not None and self._tree.size == index:
            self._tree.add(leaf)
        else:
            self._tree = None

    def _check_whole(self) -> None:
        is_whole = self._tree is not None and self._tree.size == self._checkpoint.size
        if is_whole and self._tree is not None and self._tree.root != self._checkpoint.root:
            self._report.findings.append(
                Finding("export", "all its entries together have another root than the checkpoint")
            )
        if self._unproven and not is_whole:
            reason = (
                f"{self._unproven} entries cannot be checked: they have no proofs, and the file "
                "does not hold every entry up to the checkpoint"
            )
            self._report.findings.append(Finding("export", reason))


def _least_differences(row: Row, account_id: str) -> list[str]:
    """Return what is wrong in the reading of the entry that agrees best with its leaf."""
    assert row.leaf_data is not None
    found: list[list[str]] = []
    for reading in row.readings:
        found.append(list(entries.differences(reading, account_id, row.leaf_data)))
        if not found[-1]:
            return []
    return min(found, key=len)
