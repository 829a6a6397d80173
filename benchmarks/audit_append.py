"""Writing, sealing and verifying the audit log, each beside what a reader knows, in the same run.

    make bench-audit-append                           (ARGS=--quick: does it run?)

* Appends: 1, 8 and 64 processes write entries, one a transaction, while a sealer seals. Beside it
  the same rows go by a plain INSERT into a table with the same columns and indexes, unsealed. The
  two sides take turns. The age is the longest that any entry of the run waited: from the time in
  its id to the commit that gave it its leaf.
* Sealing: what waits, at three sizes of the log: the time must not grow with the log. Beside it
  pymerkle appends the same entries in memory, with no database and no signature.
* Verification: a stored log by the platform, its export by `queensmtp-verify`, and the same proofs
  by pymerkle.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.db import connection  # noqa: E402
from django.utils import timezone  # noqa: E402
from pymerkle import InclusionProof, InmemoryTree  # noqa: E402
from pymerkle.core import _inclusion_path_layout  # noqa: E402

from auditlog import actions, entries, exporting, log_keys, verification  # noqa: E402
from auditlog.models import Head, Leaf  # noqa: E402
from benchmarks import databases  # noqa: E402
from queensmtp import hot, tenancy  # noqa: E402
from queensmtp.actors import Actor, Origin, Target  # noqa: E402
from queensmtp.ids import new_id, timestamp_of  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1] / "sdks" / "verify" / "src"))

from queensmtp_verify.trust import Trust, read_keys  # noqa: E402
from queensmtp_verify.verification import verify as verify_file  # noqa: E402

DATABASE = "queensmtp_bench_append"
ACCOUNT = new_id()
FORK = multiprocessing.get_context("fork")
SEAL_EVERY_SECONDS = 0.5
NAMES = ", ".join(f'"{name}"' for name in entries._COLUMNS)
VALUES = ", ".join(f"%s::{kind}" for kind in entries._COLUMNS.values())
PLAIN = f"INSERT INTO bench_plain ({NAMES}) VALUES ({VALUES}) RETURNING 1"


def actor() -> Actor:
    key_id = new_id()
    origin = Origin(ip="203.0.113.7", user_agent="curl/8.5.0", request_id=str(new_id()))
    return Actor(
        type="key",
        id=str(key_id),
        label="Newsletter",
        account_id=ACCOUNT,
        key_id=key_id,
        origin=origin,
        labels={"unit": "retail"},
    )


def record(by: Actor) -> None:
    actions.record_alone(
        by=by, event="api_key.created", target=Target("key", str(new_id()), "Shop")
    )


def insert_plain(by: Actor) -> None:
    """The same fields, without a commitment to them, a leaf hash, or anything that waits."""
    hot.fetch_one(PLAIN, row_of(by))


def row_of(by: Actor) -> list[object]:
    built = entries.build(
        by=by, event="api_key.created", target=Target("key", str(new_id()), "Shop")
    )
    return built.params()[:-1]


def writers(count: int, seconds: float, write: Callable[[Actor], None], *, role: str) -> float:
    """Return how many a second so many processes write together."""
    connection.close()
    queue, start = FORK.SimpleQueue(), FORK.Barrier(count + 1)

    def work() -> None:
        databases.take_role(role)
        by, done = actor(), 0
        write(by)
        start.wait()
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            write(by)
            done += 1
        queue.put(done)

    processes = [FORK.Process(target=work) for _ in range(count)]
    for process in processes:
        process.start()
    start.wait()
    started = time.perf_counter()
    total = sum(queue.get() for _ in processes)
    elapsed = time.perf_counter() - started
    for process in processes:
        process.join()
    return total / elapsed


class Sealer:
    """A sealer in a process of its own, as the worker runs it, which notes how old entries grew."""

    def __enter__(self) -> "Sealer":
        connection.close()
        self.stop, self.queue = FORK.Event(), FORK.SimpleQueue()
        self.process = FORK.Process(target=self._seal)
        self.process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.sealed, self.seconds, self.oldest = self.queue.get()
        self.process.join()

    def _seal(self) -> None:
        databases.take_role("worker")
        # What a measurement before this one left to be sealed is not of this run.
        actions.seal_all(now=timezone.now())
        sealed, busy, oldest = 0, 0.0, 0.0
        while True:
            is_last = self.stop.is_set()
            since = oldest_waiting()
            started = time.perf_counter()
            sealed += actions.seal_all(now=timezone.now())
            took = time.perf_counter() - started
            busy += took
            if since:
                oldest = max(oldest, (timezone.now() - since).total_seconds())
            if is_last:
                break
            time.sleep(max(0.0, SEAL_EVERY_SECONDS - took))
        self.queue.put((sealed, busy, oldest))


def oldest_waiting() -> datetime | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT entry_id FROM auditlog_pending ORDER BY entry_id LIMIT 1")
        row = cursor.fetchone()
    return timestamp_of(row[0]) if row else None


def measure_appends(counts: list[int], rounds: int, seconds: float) -> None:
    print(
        f"{'writers':>8}{'ours/s':>10}{'plain/s':>10}{'ratio':>8}{'sealed/s':>10}{'oldest s':>10}"
    )
    for count in counts:
        ours, plain, ratios, sealed, oldest = [], [], [], [], []
        for _ in range(rounds):
            with Sealer() as sealer:
                ours.append(writers(count, seconds, record, role="app"))
            plain.append(writers(count, seconds, insert_plain, role="owner"))
            ratios.append(ours[-1] / plain[-1])
            sealed.append(sealer.sealed / sealer.seconds)
            oldest.append(sealer.oldest)
        print(
            f"{count:>8}{statistics.median(ours):>10,.0f}{statistics.median(plain):>10,.0f}"
            f"{statistics.median(ratios):>8.2f}{statistics.median(sealed):>10,.0f}{max(oldest):>10.2f}"
        )


def leave_waiting(count: int) -> None:
    """Leaves alone: their entries are past their retention."""
    databases.take_role("worker")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO auditlog_pending (entry_id, account_id, leaf_hash)"
            " SELECT gen_random_uuid(), %s, sha256(n::text::bytea) FROM generate_series(1, %s) n",
            [ACCOUNT, count],
        )


def measure_sealing(sizes: list[int], batch: int, rounds: int) -> None:
    print(f"\n{'log of':>12}{'sealed/s':>12}{'ms for ' + f'{batch:,}':>16}{'pymerkle/s':>12}")
    data = [str(number).encode() * 40 for number in range(batch)]
    for size in sizes:
        while (have := head_size()) < size:
            leave_waiting(min(size - have, 200_000))
            actions.seal_all(now=timezone.now())
        times, theirs = [], []
        for _ in range(rounds):
            leave_waiting(batch)
            started = time.perf_counter()
            actions.seal_all(now=timezone.now())
            times.append(time.perf_counter() - started)
            theirs.append(batch / pymerkle_seconds(data))
        took, peer = statistics.median(times), statistics.median(theirs)
        print(f"{size:>12,}{batch / took:>12,.0f}{took * 1000:>16.1f}{peer:>12,.0f}")


def pymerkle_seconds(data: list[bytes]) -> float:
    tree = InmemoryTree(algorithm="sha256")
    started = time.perf_counter()
    for each in data:
        tree.append_entry(each)
    tree.get_root(len(data))
    return time.perf_counter() - started


def head_size() -> int:
    databases.take_role("worker")
    head = Head.objects.filter(account_id=ACCOUNT).first()
    return head.size if head else 0


def measure_verification(count: int, rounds: int) -> None:
    databases.take_role("app")
    by = actor()
    for _ in range(count):
        record(by)
    databases.take_role("worker")
    actions.seal_all(now=timezone.now())
    with tempfile.TemporaryDirectory() as folder:
        path = export_to(Path(folder), by)
        keys = read_keys(b64encode(log_keys.public_keys()[0]).decode())
        trust = Trust(keys=tuple(keys))
        exported = verify_file(path, trust)
        assert exported.is_good, exported.findings[:3]
        sides = {
            "stored log, by the platform": (count_of_entries(), verify_stored),
            "export, by queensmtp-verify": (exported.entry_count, lambda: verify_file(path, trust)),
            "inclusion proofs alone, by pymerkle": proofs_for_pymerkle(path),
        }
        times: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(rounds):
            for name, (entry_count, side) in sides.items():
                started = time.perf_counter()
                side()
                times[name].append(entry_count / (time.perf_counter() - started))
    print(f"\n{'verified':<40}{'entries/s':>12}")
    for name, rates in times.items():
        print(f"{name:<40}{statistics.median(rates):>12,.0f}")


def count_of_entries() -> int:
    with tenancy.tenant(ACCOUNT):
        return Leaf.objects.count()


def verify_stored() -> None:
    with tenancy.tenant(ACCOUNT):
        found = verification.verify(ACCOUNT)
    assert not found, found[:3]


def export_to(folder: Path, by: Actor) -> Path:
    settings.AUDIT_EXPORT_DIR = folder
    databases.take_role("app")
    with tenancy.tenant(ACCOUNT):
        export = exporting.request(
            by=by, format="jsonl", query={"event": ["api_key.created"]}, with_proofs=True
        )
    databases.take_role("worker")
    actions.seal_all(now=timezone.now())
    exporting.export_due()
    databases.take_role("app")
    with tenancy.tenant(ACCOUNT):
        export.refresh_from_db()
        return exporting.get_file(export, now=timezone.now())


def proofs_for_pymerkle(path: Path) -> tuple[int, Callable[[], None]]:
    header, *lines, _ = [json.loads(line) for line in path.read_bytes().splitlines()]
    size, root = header["checkpoint"]["size"], b64decode(header["checkpoint"]["root_hash"])
    tree = InmemoryTree(algorithm="sha256")
    proofs = []
    for line in lines:
        index = line["leaf_index"] + 1
        leaf = tree.hash_buff(line["leaf_data"].encode())
        rule, _ = _inclusion_path_layout(index, size)
        path_of = [leaf, *map(b64decode, line["hashes"])]
        proof = InclusionProof("sha256", True, size, index, rule, path_of)
        proofs.append((leaf, proof))

    def verify() -> None:
        for leaf, proof in proofs:
            proof.verify(leaf, root)

    return len(proofs), verify


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny: does it run?")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    databases.create(DATABASE)
    try:
        databases.take_role("owner")
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE bench_plain (LIKE auditlog_entry INCLUDING ALL)")
        if asked.quick:
            measure_verification(60, 1)
            measure_appends([1, 2], 1, 0.3)
            measure_sealing([1_000, 5_000], 500, 1)
        else:
            # Before the leaves that have no entries.
            measure_verification(20_000, asked.rounds)
            measure_appends([1, 8, 64], asked.rounds, asked.seconds)
            measure_sealing([10_000, 100_000, 1_000_000], 10_000, asked.rounds)
    finally:
        databases.drop(DATABASE)


if __name__ == "__main__":
    main()
