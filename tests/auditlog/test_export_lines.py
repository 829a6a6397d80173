"""What the lines of an export say of entries of every make, held against the API's own words."""

import csv
import io
from base64 import b64decode
from typing import Any
from uuid import UUID

import orjson
import pytest
from django.db import connection

from auditlog import actions, export_lines, export_rows, filters, paths, serializers
from auditlog.models import Entry, Head, Leaf
from auditlog.proofs import inclusion_proof
from queensmtp.actors import Actor, Origin, Target
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from tests.factories.auditlog import HIVE, leave_waiting, record_many, seal
from tests.roles import as_role

pytestmark = pytest.mark.django_db

TEXTS = [
    "",
    "=1",
    'a"b,c',
    "x\r\ny\r\n",
    "\u2028\x7f\x1b\x01",
    "\U0001f600 e\u0301",
    "\\",
    "\uff1d",
]
ADDRESSES = [None, "203.0.113.7", "2001:db8::1"]
LABELS = [{}, {"b": "x", "aa": "\u2028", "é": "1", "\U0001f600": "q", "\uffff": "z"}]
CHANGES: list[dict[str, Any]] = [
    {},
    {"b": {"before": 'x, y": z', "after": None}, "a": [1, -2, "x"], "c": True},
]


@pytest.fixture
def leaves() -> list[Leaf]:
    """Odd entries, one without its personal fields, and later ones, over three tiles."""
    odd = [record(number) for number in range(40)]
    seal()
    leave_waiting(600)
    seal()
    record_many(3)
    seal()
    with as_role("worker"), connection.cursor() as cursor:
        cursor.execute("SELECT auditlog_erase(%s, %s)", [HIVE, odd[:1]])
        assert cursor.fetchone()[0] == 1
    with tenant(HIVE):
        kept = Entry.objects.values("id")
        return list(Leaf.objects.filter(entry_id__in=kept).order_by("leaf_index"))


def record(number: int) -> UUID:
    text, label = TEXTS[number % len(TEXTS)], TEXTS[number // 3 % len(TEXTS)]
    by = Actor(
        type=("user", "key", "system")[number % 3],
        id=text,
        label=label,
        account_id=HIVE,
        origin=Origin(
            ip=ADDRESSES[number % 3], user_agent=label, request_id=text, client_request_id=label
        ),
        key_id=new_id() if number % 2 else None,
        labels=LABELS[number // 2 % 2],
    )
    return actions.record(
        by=by,
        event="domain.created",
        target=Target("domain", text, label) if number % 4 else None,
        changes=CHANGES[number // 4 % 2],
    )


def written(format: str, *, with_proofs: bool) -> bytes:
    lines = export_lines.of_format(format, proofs=with_proofs)
    with tenant(HIVE):
        size = Head.objects.get().size
        (rows,) = export_rows.stretches(HIVE, filters.read({"reads": ["true"]}), size=size)
        found = paths.of_leaves(HIVE, [row.leaf_index for row in rows], size=size)
        return lines.begin({}) + lines.rows(rows, found if with_proofs else None)


def bodies(*, with_proofs: bool) -> list[dict[str, Any]]:
    _, *lines = written("jsonl", with_proofs=with_proofs).splitlines()
    return [orjson.loads(line) for line in lines]


def table(*, with_proofs: bool) -> list[dict[str, str]]:
    text = written("csv", with_proofs=with_proofs).decode()
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_a_line_is_the_very_object_of_the_api(leaves: list[Leaf]) -> None:
    _, *lines = written("jsonl", with_proofs=False).splitlines()
    with tenant(HIVE):
        for leaf, line in zip(leaves, lines, strict=True):
            entry = Entry.objects.get(pk=leaf.entry_id)
            body = serializers.entry_with_salt_body(entry, leaf_index=leaf.leaf_index)
            assert line == orjson.dumps(body)


def test_its_proof_is_the_one_of_the_api(leaves: list[Leaf]) -> None:
    with tenant(HIVE):
        for leaf, line in zip(leaves, bodies(with_proofs=True), strict=True):
            proof = serializers.inclusion_body(inclusion_proof(HIVE, leaf=leaf))
            assert proof["leaf_data"]
            assert {name: line[name] for name in ("leaf_data", "hashes")} == {
                name: proof[name] for name in ("leaf_data", "hashes")
            }


def test_the_cells_of_a_csv_say_the_same(leaves: list[Leaf]) -> None:
    lines, plain = bodies(with_proofs=True), table(with_proofs=False)
    for line, cells, row in zip(lines, plain, table(with_proofs=True), strict=True):
        assert cells == {name: row[name] for name in export_lines.CSV_COLUMNS}
        assert row["user_agent"] == export_lines.neutral(line["user_agent"])
        assert (row["key_id"], row["ip"]) == (line["key_id"] or "", line["ip"] or "")
        assert orjson.loads(row["changes"]) == line["changes"]
        assert row["leaf_data"] == line["leaf_data"]
        assert bytes.fromhex(row["salt"]) == b64decode(line["salt"] or "")
        assert row["hashes"].split() == [b64decode(one).hex() for one in line["hashes"]]
