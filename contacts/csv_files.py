"""Suppressions in CSV files: read with bounds, written without formulas. Pure."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from auditlog.export_lines import neutral
from contacts.actions import Wanted
from contacts.models import REASON_LIMIT, Origin, Suppression
from queensmtp import addresses
from queensmtp.addresses import AddressRefused

BYTES_AT_MOST = 5 * 1024 * 1024
ROWS_AT_MOST = 20_000
LINE_AT_MOST = 10_000
COLUMNS_AT_MOST = 50
PIECE_CHARACTERS = 64 * 1024
# Enough to mend a file by.
NAMED_AT_MOST = 20
HEADER = ("email", "origin", "reason", "source_id", "created_at", "expires_at")


class FileRefused(ValueError):
    """The file is not taken at all, and why."""


class FileTooLarge(FileRefused):
    """There is more of it than is taken at once."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a column of a row, which stands in a line or at a place in a list."""

    row: int
    column: str
    message: str


@dataclass(slots=True)
class Read:
    """What a file holds, and what of it is no address."""

    wanted: list[Wanted] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0

    def refuse(self, row: int, column: str, message: str) -> None:
        self.problem_count += 1
        if len(self.problems) < NAMED_AT_MOST:
            self.problems.append(Problem(row, column, message))

    def lines(self) -> list[str]:
        """The problems of a file, for people."""
        return [f"Line {one.row}: {one.message}." for one in self.problems]


def read(content: bytes, *, now: datetime) -> Read:
    """Read a file with a column `email`, or with one address a line. Raises FileRefused.

    `origin` and `reason` are read if they are there, as our own export writes them; what has
    ended by its `expires_at` or cannot be read is left out and named.
    """
    return read_text(text_of(content), now=now)


def text_of(content: bytes) -> str:
    """Raises FileRefused for what is too large, or no text."""
    if len(content) > BYTES_AT_MOST:
        raise FileTooLarge(f"The file is larger than {BYTES_AT_MOST // 1024**2} MB; split it.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise FileRefused("The file is not UTF-8; save it as CSV in UTF-8.") from None


def read_text(text: str, *, now: datetime) -> Read:
    rows = csv.reader(_short_lines(text))
    found, columns = Read(), list[str]()
    try:
        for at, cells in enumerate(rows):
            if at == 0:
                columns = _columns(cells)
                if _is_header(cells):
                    continue
            if at > ROWS_AT_MOST:
                raise FileRefused(f"The file has more than {ROWS_AT_MOST} rows; split it.")
            if any(cells):
                row = dict(zip(columns, cells, strict=False))
                row["email"] = _as_written(row.get("email", "").strip())
                read_row(row, rows.line_num, found, now)
    except csv.Error as problem:
        raise FileRefused(f"Line {rows.line_num} is no CSV: {problem}.") from None
    return found


def write(rows: Iterable[Suppression]) -> Iterator[bytes]:
    """RFC 4180, in pieces of many rows; no cell is a formula to a spreadsheet."""
    text = io.StringIO()
    write_row = csv.writer(text).writerow
    write_row(HEADER)
    for row in rows:
        write_row(_cells(row))
        if text.tell() > PIECE_CHARACTERS:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def _cells(row: Suppression) -> Iterable[str]:
    """What others wrote is made harmless; ids and times are ours."""
    yield from (neutral(row.email), row.origin, neutral(row.reason))
    yield str(row.source_id) if row.source_id else ""
    yield row.created_at.isoformat()
    yield row.expires_at.isoformat() if row.expires_at else ""


def _short_lines(text: str) -> Iterator[str]:
    for number, line in enumerate(io.StringIO(text, newline=""), start=1):
        if len(line) > LINE_AT_MOST or line.count(",") > COLUMNS_AT_MOST:
            raise FileRefused(f"Line {number} is too long for a list of addresses.")
        if "\0" in line:
            raise FileRefused(f"Line {number} holds a NUL character: this is no text file.")
        yield line


def _is_header(cells: list[str]) -> bool:
    return "email" in [_name(cell) for cell in cells]


def _columns(cells: list[str]) -> list[str]:
    names = [_name(cell) for cell in cells]
    if "email" not in names:
        if len(cells) == 1:
            return ["email"]
        raise FileRefused("The first line names no column `email`.")
    if len(set(names)) != len(names):
        raise FileRefused("The first line names a column twice.")
    return names


def _name(cell: str) -> str:
    name = cell.strip().lower().replace("-", "")
    return "email" if name in ("email address", "e mail") else name


def read_row(row: Mapping[str, str], at: int, found: Read, now: datetime) -> None:
    """Take in one row, or name what is wrong with it."""
    try:
        key = addresses.parse(row.get("email", "").strip()).key
    except AddressRefused as refused:
        found.refuse(at, "email", f"the address {refused.message}")
        return
    origin = row.get("origin", "").strip().lower() or Origin.MANUAL.value
    if origin not in Origin.values:
        found.refuse(at, "origin", f"the origin is none of {', '.join(Origin.values)}")
        return
    ends_at = _moment(row.get("expires_at", "").strip(), now)
    if isinstance(ends_at, str):
        found.refuse(at, "expires_at", ends_at)
        return
    reason = "".join(char if char.isprintable() else " " for char in row.get("reason", ""))
    found.wanted.append(
        Wanted(key, Origin(origin), reason.strip()[:REASON_LIMIT], expires_at=ends_at)
    )


def _as_written(cell: str) -> str:
    """An apostrophe may be our export's, before what would be a formula, or begin an address."""
    return cell[1:] if cell == neutral(cell[1:]) else cell


def _moment(text: str, now: datetime) -> datetime | str | None:
    """The time, or what is wrong with it."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return "`expires_at` is no ISO 8601 time"
    if moment.tzinfo is None or moment.year >= 3000:
        return "`expires_at` has no offset, or is too far away"
    return moment if moment > now else "it has ended already"
