"""What the gate costs: microseconds for each step that a request's key passes, and for all of it.

    make bench-gate ARGS="--rounds 200"      (ARGS=--quick: does it run?)

One key with every kind of restriction among --keys others, in a database of its own; the steps are
the very functions that HTTP and SMTP call. In each round every step runs --calls times, one step
after the other, so that a slow moment of the machine meets them all; the figures are medians over
the rounds. Beside them stands one bare `SELECT 1` over the same connection: what asking the
database costs at all. Wall time is what a caller waits, CPU time what our process works.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.utils import timezone  # noqa: E402

from apikeys import allowlist, gate, policy, tokens  # noqa: E402
from benchmarks import gate_keys, scratch  # noqa: E402
from queensmtp import hot, ratelimit  # noqa: E402
from queensmtp.scopes import Scope  # noqa: E402
from sending.gates import limit_of  # noqa: E402

Step = Callable[[], object]
BARE, WHOLE = "bare SELECT 1, to compare", "the whole gate"


def steps(text: str) -> dict[str, Step]:
    """Each step by its name, in the order of the grant rule."""
    token = tokens.parse(text)
    assert token is not None
    record = gate.find_record(token.public_id)
    assert record is not None
    pepper = dict(settings.KEY_PEPPERS)[record.pepper_version]
    bucket, limit = f"key:{record.id}", limit_of(record)
    recipients = ["ann@ourcompany.example", "audit@partner.example"]

    def whole() -> None:
        presented = gate.present(text, origin=gate_keys.ORIGIN)
        assert presented.record is not None and presented.refusal is None
        assert policy.authorise(presented.record, scope=Scope.EMAIL_SEND) is None
        assert policy.may_send_from(presented.record, "news.example") is None
        assert policy.may_send_to(presented.record, recipients) is None
        assert ratelimit.take(bucket, limit).allowed

    return {
        BARE: lambda: hot.fetch_one("SELECT 1", []),
        "parse and checksum": lambda: tokens.parse(text),
        "read the row": lambda: gate.find_record(token.public_id),
        "digest": lambda: tokens.same(tokens.digest(token, pepper=pepper), record.digest),
        "MAC of the row": lambda: tokens.same(record.expected_mac(pepper=pepper), record.mac),
        "allowlist": lambda: allowlist.allows(record.allowed_cidrs or (), gate_keys.ADDRESS),
        "revoked, expired, closed": lambda: policy._why_dead(record, timezone.now()),
        "scope": lambda: policy.authorise(record, scope=Scope.EMAIL_SEND),
        "domain": lambda: policy.may_send_from(record, "news.example"),
        "recipients": lambda: policy.may_send_to(record, recipients),
        "rate limit": lambda: ratelimit.take(bucket, limit),
        WHOLE: whole,
    }


def microseconds(step: Step, calls: int) -> tuple[float, float]:
    """Wall and CPU time of one call."""
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for _ in range(calls):
        step()
    cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
    return wall / calls / 1_000, cpu / calls / 1_000


def measure(named: dict[str, Step], *, rounds: int, calls: int) -> None:
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in named}
    for _ in range(rounds):
        for name, step in named.items():
            taken[name].append(microseconds(step, calls))
    print(f"{'step':<28}{'wall µs':>10}{'CPU µs':>10}{'of SELECT 1':>13}")
    for name, found in taken.items():
        wall, cpu = (statistics.median(column) for column in zip(*found, strict=True))
        ratios = [one[0] / bare[0] for one, bare in zip(found, taken[BARE], strict=True)]
        print(f"{name:<28}{wall:>10.1f}{cpu:>10.1f}{statistics.median(ratios):>12.2f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--quick", action="store_true", help="100 keys, 3 rounds of 20 calls")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.keys, chosen.rounds, chosen.calls = 100, 3, 20
    print(f"{chosen.keys:,} keys; {chosen.rounds} rounds of {chosen.calls} calls a step")
    with scratch.database("queensmtp_bench_gate"):
        named = steps(gate_keys.make(chosen.keys))
        measure(named, rounds=1, calls=20)
        print("the above was to warm up; measured:")
        measure(named, rounds=chosen.rounds, calls=chosen.calls)


if __name__ == "__main__":
    main()
