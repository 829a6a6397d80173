"""python -m deploy.chaos: kill -9 of web, worker, Valkey and Postgres while mail is accepted.

A clean clone runs `make up`; a client sends messages, each under its idempotency key until it is
told an id, and meanwhile one process after the other is killed. In the end nothing that was
accepted may be lost, and there may be no more duplicates than deliveries in doubt.
"""

import argparse
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from deploy.chaos import verdict
from deploy.chaos.kills import Killer
from deploy.chaos.ledger import Ledger
from deploy.chaos.load import Sender
from deploy.local.run_lock import find_holder
from deploy.smoke.__main__ import read_demo_env, running
from deploy.smoke.clone import Clone, clean_clone

UP_SECONDS = 180.0
# A lease runs for two minutes under a dead worker before its mail is in doubt, then tried again.
DRAIN_SECONDS = 600.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--per-second", type=float, default=60.0, help="how fast they are sent")
    parser.add_argument("--kills", type=int, default=12, help="how many at the most")
    # Twice a minute and oftener, the supervisor waits longer and longer before it starts one anew.
    parser.add_argument("--seconds-between-kills", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=None, help="repeats the order of the kills")
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.randrange(1_000_000)
    told(f"seed {seed}")
    with clean_clone(user=None) as clone, running(clone, "start", within=UP_SECONDS):
        said = campaign(clone, given, random.Random(seed))
    for line in said:
        print(f"chaos: FAILED (seed {seed}): {line}", file=sys.stderr)
    if not said:
        told("nothing accepted is lost")
    return 1 if said else 0


def campaign(clone: Clone, given: argparse.Namespace, chance: random.Random) -> list[str]:
    demo, name = read_demo_env(clone), f"chaos{time.time_ns()}"
    ledger = Ledger(clone.checkout.var / "chaos-ledger.jsonl")
    sender = Sender(demo, ledger, name=name)
    limited_key = sender.take_turns_with_a_limited_key(name)
    killer = Killer(clone.checkout, chance=chance)
    began, is_over = time.monotonic(), threading.Event()
    killing = threading.Thread(
        target=kill_until,
        args=(killer, given.kills, given.seconds_between_kills, is_over),
    )
    killing.start()
    try:
        sender.send_all(
            given.messages, per_second=given.per_second, on_progress=progress(given.messages)
        )
    finally:
        is_over.set()
        killing.join()
        ledger.close()
    told(
        f"accepted {len(ledger.accepted)} in {time.monotonic() - began:.0f} s and "
        f"{ledger.tries_count} tries; killed {killer.kills}"
    )
    database = database_of(clone)
    wait_until_drained(database, name)
    inbox = Path(demo["QUEENSMTP_INBOX_DIR"])
    found = verdict.facts(database, inbox, name, limited_key=limited_key)
    told(
        f"in the inbox {sum(found.copies.values())} copies of {len(found.copies)} messages; "
        f"{found.duplicates} duplicates, {found.in_doubt_count} in doubt; "
        f"{found.counted} counted against a quota"
    )
    return verdict.broken(ledger.accepted, found)


def kill_until(killer: Killer, most: int, pause: float, is_over: threading.Event) -> None:
    while sum(killer.kills.values()) < most and not is_over.wait(pause):
        victim = killer.kill_one()
        if victim:
            told(f"killed {victim}")


def database_of(clone: Clone) -> str:
    """As the superuser: a judge must see the rows of every tenant."""
    holder = find_holder(clone.checkout.var / "lock")
    assert holder is not None
    return holder.environment["DATABASE_ADMIN_URL"].replace("postgres://", "postgresql://", 1)


def wait_until_drained(database: str, name: str) -> None:
    ends_at = time.monotonic() + DRAIN_SECONDS
    while (waiting := verdict.waiting_of(database, name)) and time.monotonic() < ends_at:
        time.sleep(1)
    told(f"drained; {waiting} still waiting")


def progress(count: int) -> Callable[[int], None]:
    step = max(1, count // 10)

    def report(number: int) -> None:
        if number % step == 0:
            told(f"{number} accepted")

    return report


def told(line: str) -> None:
    print(f"chaos: {line}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
