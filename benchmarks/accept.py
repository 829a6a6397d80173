"""Accepting mail: ours beside what a developer would write instead, batches beside single e-mails,
and batches beside a raw COPY of the same rows.

    make bench-accept                      (ARGS=--quick: does it run?)

Both servers are granian with two processes behind TLS, upon the same Postgres with fsync on, and
store the same rows: message, recipient, audit entry. Ours does more: it encrypts the contents,
hashes the entry for its tree, checks the key's limits and addresses, and counts the rate in
Valkey. The peer (`benchmarks/peers/drf_mail`) is DRF with djangorestframework-api-key and the ORM.

They take turns, and every second round in the opposite order; each begins after a checkpoint, so
that nobody pays for what the one before wrote. The figure is the median of the ratios. CPU is that
of the server's processes, of Postgres and of Valkey, each for one message. COPY is done by a
superuser, over a socket, into tables with the same indexes; it checks nothing.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg

from benchmarks import accept_servers, load
from benchmarks.accept_servers import Processes
from benchmarks.load import Rate, Target

SINGLE, PEER = "ours, one by one", "DRF + api-key + ORM"
BATCH, COPY = "ours, in batches", "COPY of the same rows"
# At the second many requests wait at the same time.
CONNECTIONS = "8,32"
TABLES = ("sending_message", "sending_recipient", "auditlog_entry", "auditlog_pending")


@dataclass(frozen=True)
class Measured:
    """Messages a second, and what each cost the processes in CPU."""

    per_second: float
    server: float
    postgres: float
    valkey: float


def mail(size: int) -> dict[str, object]:
    return {
        "from": "Hive <hello@hive.example>",
        "to": ["ann@wasp.example"],
        "subject": "Your order is on its way",
        "text": "x" * size,
        "tags": [{"name": "kind", "value": "order"}],
    }


def make_our_key() -> str:
    """In a process of its own that knows our settings; the token."""
    code = (
        "import django; django.setup()\n"
        "from tests.factories.cast import make_cast, make_domain\n"
        "from tests.factories.keys import make_key\n"
        "hive = make_cast().hive\n"
        "make_domain(hive, 'hive.example', verified=False)\n"
        "print(make_key(hive)[1])"
    )
    env = accept_servers.our_environment()
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, check=True, stdout=subprocess.PIPE, text=True
    )
    # As if a worker had seen its records in DNS.
    admin = accept_servers.url_of("DATABASE_ADMIN_URL", accept_servers.OURS)
    with psycopg.connect(admin.replace("postgres://", "postgresql://", 1)) as connection:
        connection.execute(
            "UPDATE domains_domain SET status = 'verified', can_send = true, verified_at = now()"
        )
    return done.stdout.strip().splitlines()[-1]


def measured(send: Callable[[], Rate], processes: Processes, *, messages: int) -> Measured:
    before = processes.cpu_seconds()
    rate = send()
    many = rate.requests * messages
    used = (
        (later - sooner) / many * 1_000_000
        for later, sooner in zip(processes.cpu_seconds(), before, strict=True)
    )
    return Measured(many / rate.seconds, *used)


def copied(url: str, count: int, *, seconds: float) -> float:
    """Messages a second by COPY: the rows of the newest batch, again and again."""
    with psycopg.connect(url) as connection:
        texts = {}
        for table in TABLES:
            limit = count if table in TABLES[:2] else 1
            newest = "entry_id" if table == "auditlog_pending" else "id"
            query = f"SELECT * FROM {table} ORDER BY {newest} DESC LIMIT {limit}"
            connection.execute(f"DROP TABLE IF EXISTS copy_{table}")
            connection.execute(f"CREATE TABLE copy_{table} (LIKE {table} INCLUDING ALL)")
            with connection.cursor().copy(f"COPY ({query}) TO STDOUT") as copy:
                texts[table] = b"".join(bytes(part) for part in copy)
        connection.commit()
        spent, done = 0.0, 0
        while spent < seconds:
            started = time.perf_counter()
            for table in TABLES:
                with connection.cursor().copy(f"COPY copy_{table} FROM STDIN") as copy:
                    copy.write(texts[table])
            connection.commit()
            spent += time.perf_counter() - started
            done += count
            connection.execute("TRUNCATE " + ", ".join(f"copy_{table}" for table in TABLES))
            connection.commit()
        return done / spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--size", type=int, default=2_000)
    parser.add_argument("--connections", default=CONNECTIONS)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    if asked.quick:
        asked.rounds, asked.seconds = 1, 1.0
    accept_servers.make_databases()
    try:
        accept_servers.migrate_ours()
        compare(asked, make_our_key(), accept_servers.prepare_peer())
    finally:
        accept_servers.drop_databases()


def compare(asked: argparse.Namespace, our_key: str, peer_key: str) -> None:
    one = json.dumps(mail(asked.size)).encode()
    many = json.dumps([mail(asked.size)] * asked.batch).encode()
    ours, peers = (int(os.environ.get("QUEENSMTP_PORT_BASE", "8000")) + n for n in (901, 902))
    single = load.request_bytes("/v1/emails", one, f"Bearer {our_key}")
    batch = load.request_bytes("/v1/emails/batch", many, f"Bearer {our_key}")
    theirs = load.request_bytes("/v1/emails", one, f"Api-Key {peer_key}")
    admin = accept_servers.url_of("DATABASE_ADMIN_URL", accept_servers.OURS)
    admin = admin.replace("postgres://", "postgresql://", 1)
    with (
        accept_servers.serving(
            "queensmtp.asgi:application", "asginl", ours, accept_servers.our_environment()
        ) as our_group,
        accept_servers.serving(
            "benchmarks.peers.drf_mail.wsgi:application",
            "wsgi",
            peers,
            accept_servers.peer_environment(),
        ) as peer_group,
    ):
        ca_file = os.environ["LOCAL_CA_FILE"]
        at_ours, at_peers = Target(ours, ca_file), Target(peers, ca_file)
        our_processes, peer_processes = Processes(our_group, admin), Processes(peer_group, admin)
        for connections in map(int, asked.connections.split(",")):

            def send(
                target: Target,
                request: bytes,
                seconds: float = asked.seconds,
                connections: int = connections,
            ) -> Rate:
                return load.run(target, request, seconds=seconds, connections=connections)

            for target, request in ((at_ours, single), (at_ours, batch), (at_peers, theirs)):
                send(target, request, 1.0)
            contenders: list[tuple[str, Callable[[], Any]]] = [
                (
                    SINGLE,
                    lambda: measured(lambda: send(at_ours, single), our_processes, messages=1),
                ),
                (
                    PEER,
                    lambda: measured(lambda: send(at_peers, theirs), peer_processes, messages=1),
                ),
                (
                    BATCH,
                    lambda: measured(
                        lambda: send(at_ours, batch), our_processes, messages=asked.batch
                    ),
                ),
                (COPY, lambda: copied(admin, asked.batch, seconds=asked.seconds)),
            ]
            rounds = f"{asked.rounds} rounds of {asked.seconds} s"
            print(f"\n{rounds}, {asked.size} bytes of text, c={connections}")
            report([taken_in_turn(contenders, at, admin) for at in range(asked.rounds)], asked)


def taken_in_turn(
    contenders: list[tuple[str, Callable[[], Any]]], at: int, admin: str
) -> dict[str, Any]:
    """One round: each measured once, after what was written before has gone to the disk."""
    found = {}
    for name, measure in contenders if at % 2 == 0 else reversed(contenders):
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        found[name] = measure()
    return found


def report(rows: list[dict[str, Any]], asked: argparse.Namespace) -> None:
    median = statistics.median
    print(f"{'':<26}{'messages/s':>12}{'CPU µs of server':>18}{'Postgres':>10}{'Valkey':>8}")
    for name in (SINGLE, PEER, BATCH):
        rate, *used = (
            median([getattr(row[name], field) for row in rows])
            for field in ("per_second", "server", "postgres", "valkey")
        )
        print(f"{name:<26}{rate:>12,.0f}{used[0]:>18,.0f}{used[1]:>10,.0f}{used[2]:>8,.0f}")
    print(f"{COPY:<26}{median([row[COPY] for row in rows]):>12,.0f}")
    for name, ratio in (
        ("ours ÷ DRF", [row[SINGLE].per_second / row[PEER].per_second for row in rows]),
        (
            f"batch of {asked.batch} ÷ single",
            [row[BATCH].per_second / row[SINGLE].per_second for row in rows],
        ),
        ("batch ÷ COPY", [row[BATCH].per_second / row[COPY] for row in rows]),
    ):
        spread = f"({min(ratio):.2f} to {max(ratio):.2f})"
        print(f"{name:<26}{median(ratio):>12.2f}  {spread}", flush=True)


if __name__ == "__main__":
    main()
