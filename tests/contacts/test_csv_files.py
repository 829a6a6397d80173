"""Files of suppressions: what is read, what is refused, what a spreadsheet would do with ours."""

import contextlib
import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts import csv_files
from contacts.csv_files import FileRefused
from contacts.models import Origin, Suppression

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def read(text: str) -> csv_files.Read:
    return csv_files.read(text.encode(), now=NOW)


def emails(text: str) -> list[str]:
    return [one.email for one in read(text).wanted]


def test_one_address_a_line_is_enough() -> None:
    assert emails("Ann@Wasp.example\nbea@wasp.example\n\n") == [
        "ann@wasp.example",
        "bea@wasp.example",
    ]


def test_a_column_is_found_by_its_name_wherever_it_stands() -> None:
    text = '\ufeffName,E-Mail,Reason\r\n"Ann, A.",ann@wasp.example,"said ""no"""\r\n'
    (one,) = read(text).wanted
    assert (one.email, one.origin, one.reason) == ("ann@wasp.example", Origin.MANUAL, 'said "no"')


def test_what_cannot_be_read_is_named_by_its_line_and_left_out() -> None:
    found = read(
        "email,origin,expires_at\nann@wasp.example,bounce,\nno address,,\nb@c.example,evil,\n"
        "c@c.example,,yesterday\nd@c.example,,2020-01-01T00:00:00Z\ne@c.example,,2027-01-01\n"
    )
    assert [(one.email, one.origin) for one in found.wanted] == [
        ("ann@wasp.example", Origin.BOUNCE)
    ]
    assert found.problem_count == 5
    assert [one.partition(":")[0] for one in found.lines()] == [f"Line {n}" for n in range(3, 8)]


@pytest.mark.parametrize(
    "text",
    [
        "name,address\nann,x\n",
        "email,email\na@b.example,b@b.example\n",
        "email\n" + "x" * 20_000,
        "email" + "," * 1_000_000,
        "email\n\0\n",
        "email\n" + "a@b.example\n" * 20_001,
        "a\n" * 3_000_000,
    ],
    ids=["no column", "twice", "long", "columns", "nul", "rows", "large"],
)
def test_what_is_no_list_of_addresses_is_refused(text: str) -> None:
    with pytest.raises(FileRefused):
        read(text)


def test_a_file_in_another_encoding_is_refused() -> None:
    with pytest.raises(FileRefused, match="UTF-8"):
        csv_files.read("email\nänn@wasp.example".encode("utf-16"), now=NOW)


@given(st.binary(max_size=400))
@settings(deadline=None)
def test_nothing_makes_it_fail(content: bytes) -> None:
    with contextlib.suppress(FileRefused):
        csv_files.read(content, now=NOW)


HOSTILE = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", "＝1", 'a"b,c\r\nd']


def test_no_cell_is_a_formula_and_ours_reads_back() -> None:
    rows = [
        Suppression(email="ann@wasp.example", origin="complaint", reason=text, created_at=NOW)
        for text in HOSTILE
    ]
    written = b"".join(csv_files.write(rows))
    cells = [row["reason"] for row in csv.DictReader(io.StringIO(written.decode(), newline=""))]
    assert [cell.lstrip("'") for cell in cells] == HOSTILE
    assert all(cell[0] == "'" for cell in cells[:-1])
    found = csv_files.read(written, now=NOW)
    assert [one.origin for one in found.wanted] == [Origin.COMPLAINT] * len(HOSTILE)
