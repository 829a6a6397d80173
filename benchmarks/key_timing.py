"""Whether the time of a refusal tells if a key's public id exists (threat K5).

    make bench-key-timing ARGS="--pairs 1000000"      (ARGS=--quick: does it run?)

Each pair presents two well-formed tokens to the gate, in random order: one with the public id of a
key that there is and a wrong secret, one with an id that nobody has. Both are fresh for each pair.
Measured is the gate itself, in this process: a caller over the network sees the same difference
under far more noise. Welch's t between the two groups stays below 4.5 in absolute value, or the
exit status is 1. The second t leaves out the slowest 5 % of all, which are the machine's.
"""

import argparse
import gc
import math
import random
import statistics
import sys
import time

import django

django.setup()

from django.conf import settings  # noqa: E402

from apikeys import gate, tokens  # noqa: E402
from apikeys.tokens import ID_LENGTH, Environment  # noqa: E402
from benchmarks import gate_keys, scratch  # noqa: E402

BOUND = 4.5
WARM_UP = 200


def with_id_of(real: str) -> str:
    """A token with the public id of a real one, and another secret."""
    body = real[: len("qs_prod_") + ID_LENGTH] + tokens.mint(Environment.PRODUCTION).text[-42:-6]
    return body + tokens.checksum(body)


def nanoseconds(text: str) -> int:
    started = time.perf_counter_ns()
    presented = gate.present(text, origin=gate_keys.ORIGIN)
    taken = time.perf_counter_ns() - started
    assert presented.refusal is not None
    return taken


def measure(real: str, pairs: int) -> tuple[list[int], list[int]]:
    known, unknown = [], []
    for number in range(pairs + WARM_UP):
        texts = {True: with_id_of(real), False: tokens.mint(Environment.PRODUCTION).text}
        for is_known in random.sample((True, False), 2):
            taken = nanoseconds(texts[is_known])
            if number >= WARM_UP:
                (known if is_known else unknown).append(taken)
    return known, unknown


def welch_t(one: list[int], other: list[int]) -> float:
    spread = statistics.variance(one) / len(one) + statistics.variance(other) / len(other)
    return (statistics.fmean(one) - statistics.fmean(other)) / math.sqrt(spread)


def report(known: list[int], unknown: list[int]) -> bool:
    """Print what was found; whether both t are within the bound."""
    cut = sorted([*known, *unknown])[int(0.95 * (len(known) + len(unknown)))]
    cropped = [[one for one in group if one <= cut] for group in (known, unknown)]
    ts = welch_t(known, unknown), welch_t(*cropped)
    for name, group in (("a known id, wrong secret", known), ("an unknown id", unknown)):
        print(f"{name:<26}median {statistics.median(group) / 1_000:8.1f} µs")
    print(f"Welch t {ts[0]:+.2f}; without the slowest 5 % {ts[1]:+.2f}; bound {BOUND}")
    return all(abs(t) < BOUND for t in ts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--keys", type=int, default=1_000)
    parser.add_argument("--quick", action="store_true", help="500 pairs, 50 keys")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.pairs, chosen.keys = 500, 50
    settings.FAILED_AUTHENTICATIONS_PER_MINUTE = 10**9
    print(f"{chosen.pairs:,} pairs among {chosen.keys:,} keys")
    with scratch.database("queensmtp_bench_key_timing"):
        real = gate_keys.make(chosen.keys)
        gc.disable()
        known, unknown = measure(real, chosen.pairs)
    sys.exit(0 if report(known, unknown) else 1)


if __name__ == "__main__":
    main()
