"""Accepting mail: ours beside what a developer would write instead, batches beside single e-mails,
and batches beside a raw COPY of the same rows.

    make bench-accept                      (ARGS=--quick: does it run?)

Both servers are granian with two processes behind TLS, upon the same Postgres with fsync on, and
store the same rows: message, recipient, audit entry. Ours does more: it encrypts the contents,
hashes the entry for its tree, checks the key's limits and addresses, and counts the rate in
Valkey. The peer (`benchmarks/peers/drf_mail`) is DRF with djangorestframework-api-key and the ORM.
The two take turns; the figure is the median of the ratios. CPU is of the server's processes alone,
without Postgres. COPY is done by a superuser, over a socket, into tables with the same indexes; it
checks nothing.
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

import psycopg

from benchmarks import accept_servers, load
from benchmarks.load import Rate, Target

CONNECTIONS = 8
TABLES = ("sending_message", "sending_recipient", "auditlog_entry", "auditlog_pending")


@dataclass(frozen=True)
class Measured:
    """Messages a second, and the server's CPU for each."""

    per_second: float
    cpu_microseconds: float


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


def measured(send: Callable[[], Rate], group: int, *, messages: int) -> Measured:
    before = accept_servers.cpu_seconds(group)
    rate = send()
    cpu = accept_servers.cpu_seconds(group) - before
    many = rate.requests * messages
    return Measured(many / rate.seconds, cpu / many * 1_000_000)


def copied(url: str, count: int, *, seconds: float) -> float:
    """Messages a second by COPY: the rows of the newest batch, again and again."""
    with psycopg.connect(url.replace("postgres://", "postgresql://", 1)) as connection:
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

        def send(target: Target, request: bytes, seconds: float) -> Callable[[], Rate]:
            return lambda: load.run(target, request, seconds=seconds, connections=CONNECTIONS)

        for target, request in ((at_ours, single), (at_ours, batch), (at_peers, theirs)):
            send(target, request, 1.0)()
        rows = []
        for _ in range(asked.rounds):
            rows.append(
                (
                    measured(send(at_ours, single, asked.seconds), our_group, messages=1),
                    measured(send(at_peers, theirs, asked.seconds), peer_group, messages=1),
                    measured(send(at_ours, batch, asked.seconds), our_group, messages=asked.batch),
                    copied(admin, asked.batch, seconds=asked.seconds),
                )
            )
    report(rows, asked)


def report(
    rows: list[tuple[Measured, Measured, Measured, float]], asked: argparse.Namespace
) -> None:
    def median(values: list[float]) -> float:
        return statistics.median(values)

    print(
        f"{asked.rounds} rounds of {asked.seconds} s, {asked.size} bytes of text, c={CONNECTIONS}"
    )
    print(f"{'':<34}{'messages/s':>12}{'CPU µs each':>14}")
    for at, name in enumerate(("ours, one by one", "DRF + api-key + ORM", "ours, in batches")):
        rate, cpu = (
            median([getattr(row[at], field) for row in rows])
            for field in ("per_second", "cpu_microseconds")
        )
        print(f"{name:<34}{rate:>12,.0f}{cpu:>14,.0f}")
    print(f"{'COPY of the same rows':<34}{median([row[3] for row in rows]):>12,.0f}")
    for name, ratio in (
        ("ours ÷ DRF", [row[0].per_second / row[1].per_second for row in rows]),
        (
            f"batch of {asked.batch} ÷ single",
            [row[2].per_second / row[0].per_second for row in rows],
        ),
        ("batch ÷ COPY", [row[2].per_second / row[3] for row in rows]),
    ):
        spread = f"({min(ratio):.2f} to {max(ratio):.2f})"
        print(f"{name:<34}{median(ratio):>12.2f}  {spread}")


if __name__ == "__main__":
    main()
