"""Search in one account's audit log: p50 and p95 of the first page, for every filter and pair.

    make bench-audit-search ARGS="--entries 5000000"      (ARGS=--quick: does it run?)

Measured is what a request pays to find its page: `search.find`, the ORM included, as role `app`
under row-level security, newest first, 50 rows. Each filter takes several values: common ones, rare
ones, and ones that nothing matches. The database is its own; --keep leaves it for the next run.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import combinations

import django

django.setup()

from django.utils import timezone  # noqa: E402

from auditlog import actions, filters, indexing, search  # noqa: E402
from benchmarks import audit_filler, databases  # noqa: E402
from queensmtp.pagination import Cursor  # noqa: E402
from queensmtp.tenancy import tenant  # noqa: E402

PAGE = 50
BOUND_MILLISECONDS = 100.0


def values(total: int) -> dict[str, list[dict[str, list[str]]]]:
    """The queries of each filter."""
    now = timezone.now()

    def day(ago: float) -> str:
        return (now - timedelta(days=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")

    def each(name: str, *texts: str) -> list[dict[str, list[str]]]:
        return [{name: [text]} for text in texts]

    middle = f"{total // 2 // 1000 * 1000 + 10:012x}"
    key = "0199cafe-0000-7000-8000-{:012x}".format
    return {
        "from": [{"from": [day(1)]}, {"from": [day(60)], "to": [day(59)]}, {"to": [day(80)]}],
        "key": each("key_id", key(7), key(1), key(10_000)),
        "event": each("event", "email.submitted", "api_key.revoked", "api_key.*", "email.read"),
        "actor": each("actor", "system", "user:0199face-0000-7000-8000-000000000003", key(9)),
        "target": each("target", f"0199feed-0000-7000-8000-{middle}", "domain"),
        "outcome": each("outcome", "allowed", "refused", "failed"),
        "ip": each("ip", f"10.7.{total // 2000 % 250}.10", "10.9.7.0/24", "10.11.0.0/16"),
        "request": each("request_id", f"0199babe-0000-7000-8000-{middle}", "none"),
        "label": each("label", "unit:unit 3", "unit:none"),
        "text": each("q", "region", "shop 17", "nothing"),
    }


def queries(total: int) -> Iterator[tuple[str, list[dict[str, list[str]]]]]:
    single = values(total)
    yield "no filter", [{}]
    yield from single.items()
    for one, two in combinations(single, 2):
        yield f"{one} + {two}", [{**a, **b} for a in single[one] for b in single[two]]


def seconds(query: dict[str, list[str]]) -> float:
    started = time.perf_counter()
    search.find(audit_filler.ACCOUNT, filters.read(query), Cursor(limit=PAGE))
    return time.perf_counter() - started


def measure(total: int, rounds: int) -> None:
    print(f"{'filter':<22}{'p50 ms':>9}{'p95 ms':>9}{'slowest ms':>12}  slowest query")
    everything, over = [], []
    for name, group in queries(total):
        timed = [(seconds(query), query) for _ in range(rounds) for query in group]
        found = sorted(one * 1000 for one, _ in timed)
        slowest = max(timed, key=lambda pair: pair[0])[1]
        p95 = found[int(0.95 * (len(found) - 1))]
        everything += found
        if p95 > BOUND_MILLISECONDS:
            over.append(name)
        said = "&".join(f"{name}={value[0]}" for name, value in slowest.items())
        print(f"{name:<22}{statistics.median(found):>9.1f}{p95:>9.1f}{found[-1]:>12.1f}  {said}")
    everything.sort()
    p95 = everything[int(0.95 * (len(everything) - 1))]
    print(f"all: p50 {statistics.median(everything):.1f} ms, p95 {p95:.1f} ms")
    print("over the bound of 100 ms: " + (", ".join(over) or "none"))


def prepare(total: int) -> None:
    audit_filler.fill(total)
    databases.take_role("worker")
    started = time.perf_counter()
    sealed = actions.seal_all(now=timezone.now())
    middle = time.perf_counter()
    indexed = indexing.index_all()
    ended = time.perf_counter()
    if sealed:
        print(f"  {sealed:,} sealed in {middle - started:.0f} s")
    if indexed:
        print(f"  {indexed:,} segments indexed in {ended - middle:.0f} s")
    audit_filler.vacuumed()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--entries", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="20,000 entries, one round")
    parser.add_argument("--keep", action="store_true", help="leave the database for the next run")
    chosen = parser.parse_args()
    total, rounds = (20_000, 1) if chosen.quick else (chosen.entries, chosen.rounds)
    print(f"{total:,} entries over {audit_filler.DAYS} days, nine tenths of one account")
    prepare(total)
    with tenant(audit_filler.ACCOUNT):
        measure(total, rounds)
    if not chosen.keep:
        audit_filler.drop()


if __name__ == "__main__":
    main()
