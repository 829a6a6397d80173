import csv
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from queensmtp_verify.notes import Key
from queensmtp_verify.trust import Trust
from queensmtp_verify.verification import verify

from auditlog import actions
from queensmtp.actors import Target
from tests.factories.auditlog import alice, leave_waiting, record_many
from tests.sdk_verify.conftest import Files, changed, found

pytestmark = pytest.mark.django_db


def test_an_export_with_proofs_is_good(files: Files, trust: Trust) -> None:
    leave_waiting(300, files.cast.hive.pk)
    record_many(3, files.cast.hive.pk, event="domain.created")
    report = verify(files.export(event="domain.created"), trust)
    assert (report.kind, report.findings, report.entry_count) == ("export", [], 9)


def test_a_csv_with_proofs_is_good(files: Files, trust: Trust) -> None:
    path = files.export(format="csv")
    note = files.checkpoint(newest_published(files))["note"]
    report = verify(path, trust, note=note)
    assert report.findings == []
    assert report.entry_count > 6


def newest_published(files: Files) -> int:
    listed = files.api.client.get("/v1/audit-log/exports", secure=True).json()["data"]
    return int(listed[0]["checkpoint"]["size"])


def test_what_was_made_harmless_for_spreadsheets_is_read_back(files: Files, trust: Trust) -> None:
    for label in ("=1+1", "'=1+1", "+", "\t", "a\r\nb", 'quo"te', " @x", "", "’＝"):
        actions.record(
            by=alice(files.cast.hive.pk),
            event="domain.created",
            target=Target("domain", "=d", label),
            changes={"a": [1, None, True, "é\u2028"]},
        )
    path = files.export(format="csv", event="domain.created")
    note = files.checkpoint(newest_published(files))["note"]
    assert found(path, trust, note=note) == ""


def test_a_whole_export_needs_no_proofs(files: Files, trust: Trust) -> None:
    path = files.export(proofs=False, reads=True)
    assert found(path, trust) == ""

    def change(lines: list[Any]) -> None:
        lines[3]["count"] += 1

    assert "all its entries together have another root" in found(
        changed(files, path, change), trust
    )


def test_a_part_of_the_log_without_proofs_is_not_called_good(files: Files, trust: Trust) -> None:
    path = files.export(proofs=False, event="domain.created")
    assert "6 entries cannot be checked" in found(path, trust)


def put(*place: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(row: dict[str, Any]) -> None:
        *way, last = place
        for step in way:
            row = row[step]
        row[last] = value

    return change


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "id": put("id", value="0199aaaa-0000-7000-8000-000000000009"),
    "leaf_index": put("leaf_index", value=1),
    "created_at": put("created_at", value="2026-01-01T00:00:00.000000Z"),
    "event": put("event", value="domain.deleted"),
    "outcome": put("outcome", value="refused"),
    "actor.type": put("actor", "type", value="system"),
    "actor.id": put("actor", "id", value="x"),
    "actor.label": put("actor", "label", value="Mallory"),
    "key_id": put("key_id", value="0199aaaa-0000-7000-8000-000000000009"),
    "ip": put("ip", value="203.0.113.8"),
    "user_agent": put("user_agent", value="x"),
    "request_id": put("request_id", value="x"),
    "client_request_id": put("client_request_id", value="x"),
    "target": put("target", value=None),
    "target.label": put("target", "label", value="x"),
    "changes": put("changes", value={"a": 1}),
    "labels": put("labels", value={"a": "b"}),
    "count": put("count", value=2),
    "count of another type": put("count", value=True),
    "salt": put("salt", value="AAAAAAAAAAAAAAAAAAAAAA=="),
    "leaf_data": put("leaf_data", value="{}"),
    "hashes": put("hashes", 0, value="AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    "fewer hashes": put("hashes", value=[]),
    "a fraction": put("changes", value={"a": 1.5}),
    "nothing": dict.clear,
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_changed_field_is_found_and_its_entry_named(
    field: str, files: Files, trust: Trust
) -> None:
    def change(lines: list[Any]) -> None:
        CHANGES[field](lines[3])

    path = files.export(event="domain.created")
    named = (
        "entry number 3"
        if field == "nothing"
        else "entry 0199"
        if field == "id"
        else entry_of(path)
    )
    assert named in found(changed(files, path, change), trust)


def entry_of(path: Path) -> str:
    return f"entry {json.loads(path.read_bytes().splitlines()[3])['id']}"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda lines: lines.pop(), "end: the last line is missing"),
        (lambda lines: lines.pop(3), "end: it counts 6 entries, there are 5"),
        (lambda lines: lines.insert(4, lines[3]), "it stands after leaf"),
        (lambda lines: lines.append(lines[3]), "something stands after the last line"),
        (lambda lines: lines.pop(0), "header: the first line is not the header"),
        (lambda lines: lines[0]["checkpoint"].update(size=3), "states another size or root"),
        (lambda lines: lines[0].update(account_id="x"), "that of another account"),
        (lambda lines: lines.__setitem__(slice(3, 5), lines[4:2:-1]), "it stands after leaf"),
    ],
)
def test_what_was_taken_out_put_in_or_moved_is_found(
    change: Callable[[list[Any]], None], named: str, files: Files, trust: Trust
) -> None:
    path = files.export(event="domain.created")
    assert named in found(changed(files, path, change), trust)


def test_another_key_proves_nothing(files: Files) -> None:
    path = files.export(event="domain.created")
    stranger = Trust(keys=(Key(bytes(32)),))
    assert found(path, stranger) == "checkpoint: no key that you trust has signed it"


def test_the_log_that_is_expected_is_the_one(files: Files, trust: Trust) -> None:
    path = files.export(event="domain.created")
    expected = Trust(keys=trust.keys, origin="localhost/another")
    assert "it speaks for localhost/" in found(path, expected)


def test_a_flipped_bit_anywhere_in_the_entries_is_found(files: Files, trust: Trust) -> None:
    """What the header says of the export itself is under the manifest's SHA-256 alone."""
    path = files.export(event="domain.created")
    data = path.read_bytes()
    first, last = data.index(b"\n") + 1, len(data) - 1
    draw = random.Random(7)
    for _ in range(200):
        at, bit = draw.randrange(first, last), draw.randrange(8)
        flipped = bytearray(data)
        flipped[at] ^= 1 << bit
        path.write_bytes(flipped)
        assert found(path, trust) != "", (at, bit, data[at - 20 : at + 20])


def test_a_changed_cell_of_a_csv_is_found(files: Files, trust: Trust) -> None:
    path = files.export(format="csv", event="domain.created")
    note = files.checkpoint(newest_published(files))["note"]
    rows = list(csv.reader(io.StringIO(path.read_text(), newline="")))
    for column, name in enumerate(rows[0]):
        if name == "hashes":
            continue
        changed_rows = [list(row) for row in rows]
        changed_rows[2][column] = changed_rows[3][column] + "1"
        text = io.StringIO(newline="")
        csv.writer(text).writerows(changed_rows)
        path.write_text(text.getvalue(), newline="")
        assert found(path, trust, note=note) != "", name


def test_a_csv_without_its_checkpoint_is_not_called_good(files: Files, trust: Trust) -> None:
    assert "give the export's manifest" in found(files.export(format="csv"), trust)
