"""Exports of one account's audit log: rows/s and MB/s, beside COPY of the same rows to a file.

    make bench-audit-export ARGS="--entries 5000000"      (ARGS=--quick: does it run?)

Each round writes every form once and COPY once before and after, in turn; printed are medians, the
ratio to COPY of the same round, and how much memory the process ever needed. COPY gives the columns
as they are: no leaf data, no hash of the file, no progress. The database is that of audit_search.
"""

import argparse
import resource
import statistics
import tempfile
import time
from pathlib import Path

import django

django.setup()

import psycopg  # noqa: E402
from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402

from auditlog import actions, exporting  # noqa: E402
from auditlog.exported import Export, Status  # noqa: E402
from benchmarks import audit_filler, databases  # noqa: E402
from queensmtp.actors import system_actor  # noqa: E402
from queensmtp.tenancy import tenant  # noqa: E402

FORMS = [("jsonl", False), ("csv", False), ("jsonl", True)]
COPY = """
COPY (
    SELECT l.leaf_index, e.* FROM auditlog_leaf l
    JOIN auditlog_entry e ON e.account_id = l.account_id AND e.id = l.entry_id
    WHERE l.account_id = '{account}' ORDER BY l.leaf_index
) TO STDOUT (FORMAT csv)
"""


def copy_to(path: Path) -> tuple[int, int, float]:
    started = time.perf_counter()
    rows = 0
    with path.open("wb") as file, psycopg.Cursor(connection.connection) as cursor:
        with cursor.copy(COPY.format(account=audit_filler.ACCOUNT)) as copy:
            for piece in copy:
                file.write(piece)
        rows = cursor.rowcount
    return rows, path.stat().st_size, time.perf_counter() - started


def export(format: str, *, proofs: bool) -> tuple[int, int, float]:
    databases.take_role("app")
    by = system_actor(audit_filler.ACCOUNT, "benchmark")
    with tenant(audit_filler.ACCOUNT):
        asked = exporting.request(
            by=by, format=format, query={"reads": ["true"]}, with_proofs=proofs
        )
    databases.take_role("worker")
    actions.seal_all(now=timezone.now())
    started = time.perf_counter()
    exporting.export_due()
    seconds = time.perf_counter() - started
    done = Export.objects.get(pk=asked.pk)
    assert done.status == "ready", done.problem
    exporting.export_files.remove(done.account_id, done.pk)
    return done.rows_done, done.byte_count or 0, seconds


def measure(rounds: int, folder: Path) -> None:
    copied: list[float] = []
    found: dict[str, list[tuple[float, float, float]]] = {}
    for _ in range(rounds):
        for format, proofs in FORMS:
            rows, _, seconds = copy_to(folder / "copy.csv")
            copied.append(rows / seconds)
            of_copy = rows / seconds
            rows, size, seconds = export(format, proofs=proofs)
            name = f"{format}{' with proofs' if proofs else ''}"
            found.setdefault(name, []).append(
                (rows / seconds, size / seconds / 1e6, rows / seconds / of_copy)
            )
    print(f"{'form':<20}{'rows/s':>12}{'MB/s':>9}{'of COPY':>9}")
    print(f"{'COPY … TO':<20}{statistics.median(copied):>12,.0f}")
    for name, runs in found.items():
        rate, megabytes, ratio = (statistics.median(column) for column in zip(*runs, strict=True))
        print(f"{name:<20}{rate:>12,.0f}{megabytes:>9.1f}{ratio:>9.2f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory of this process at most: {peak:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="20,000 entries, one round")
    parser.add_argument("--keep", action="store_true", help="leave the database for the next run")
    chosen = parser.parse_args()
    total, rounds = (20_000, 1) if chosen.quick else (chosen.entries, chosen.rounds)
    print(f"{total:,} entries, nine tenths of one account")
    audit_filler.fill(total)
    databases.take_role("worker")
    actions.seal_all(now=timezone.now())
    audit_filler.vacuumed()
    databases.take_role("worker")
    # A run that was broken off left an export that a worker would go on with.
    Export.objects.unfinished().update(status=Status.CANCELED, finished_at=timezone.now())
    with tempfile.TemporaryDirectory() as folder:
        settings.AUDIT_EXPORT_DIR = Path(folder)
        measure(rounds, Path(folder))
    if not chosen.keep:
        audit_filler.drop()


if __name__ == "__main__":
    main()
