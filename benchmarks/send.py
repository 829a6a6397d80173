"""Signed delivery to a sink: our send workers beside Postfix + OpenDKIM, in the same run.

    make bench-send                                   (ARGS=--quick: does it run?)

Both sign with the same RSA-2048 key, take the same sizes, and hand to the same `smtp-sink`, without
TLS. Ours begins with messages that were accepted; two workers claim, build, sign, deliver and
record them, the outcomes and events included. Postfix gets them from `smtp-source` over SMTP, since
its signing is part of taking them in, and both ends overlap; so ours is also given with the time
of accepting, one after the other, in batches of 100 by one process. The sides take turns.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.utils import timezone  # noqa: E402

from accounts import actions as accounts  # noqa: E402
from accounts.models import Account, User  # noqa: E402
from apikeys import actions as keys  # noqa: E402
from apikeys.actions import record_of  # noqa: E402
from apikeys.gate import actor_of  # noqa: E402
from apikeys.rights import Rights  # noqa: E402
from apikeys.tokens import Environment  # noqa: E402
from benchmarks import databases  # noqa: E402
from benchmarks.peers import postfix  # noqa: E402
from deploy.local import system_packages  # noqa: E402
from domains import actions as domains  # noqa: E402
from domains import dkim_keys  # noqa: E402
from domains.models import DkimKey, Domain  # noqa: E402
from queensmtp.actors import Origin, system_actor  # noqa: E402
from queensmtp.scopes import Scope  # noqa: E402
from queensmtp.tenancy import tenant  # noqa: E402
from sending import batch, submissions  # noqa: E402
from sending.models import Recipient  # noqa: E402
from tests.factories.cast import make_domain  # noqa: E402

DATABASE = "queensmtp_bench_send"
DOMAIN = "bench.example"
SENDER, RECIPIENT = f"hello@{DOMAIN}", "someone@sink.example"
WORKERS = 2
SESSIONS = 20
SINK, SMTPD, MILTER = (settings.PORT_BASE + offset for offset in (60, 61, 62))


@dataclass
class Round:
    """Seconds for the same messages, and our workers' CPU seconds."""

    ours: float
    accepting: float
    cpu: float
    theirs: float


@dataclass
class Bench:
    count: int
    account: Account
    key: Any
    rounds: dict[int, list[Round]] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000, help="messages a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    count, rounds = (100, 1) if given.quick else (given.count, given.rounds)
    missing = [name for name in postfix.PROGRAMS if not shutil.which(name)]
    if missing:
        system_packages.install("postfix", "opendkim", purpose="this benchmark")
    bench, pem = prepare(count)
    with (
        sink(),
        postfix.running(port=SMTPD, milter=MILTER, sink=SINK, domain=DOMAIN, key=pem) as peer,
    ):
        for size in (2_000, 20_000):
            bench.rounds[size] = [run_round(bench, peer, size) for _ in range(rounds)]
            tell(size, count, bench.rounds[size])
    databases.drop(DATABASE)


def prepare(count: int) -> tuple[Bench, bytes]:
    """An account with a verified domain that signs with one RSA key, and that key."""
    databases.create(DATABASE)
    by = system_actor(None, "benchmark")
    owner = User.objects.create_user("bench@bench.example", None)
    account = accounts.create_account(name="Bench", owner=owner, by=by)
    by = system_actor(account.pk, "benchmark")
    domain = make_domain(account, DOMAIN)
    with tenant(account.pk):
        pem = only_rsa(domain)
        rights = Rights(scopes=(Scope.EMAIL_SEND,))
        key, _ = keys.create(by=by, name="bench", environment=Environment.PRODUCTION, rights=rights)
    return Bench(count, account, record_of(key)), pem


def only_rsa(domain: Domain) -> bytes:
    """Postfix signs once, so ours does too. The private half, as PEM."""
    rows = {row.algorithm: row for row in DkimKey.objects.filter(domain=domain)}
    rsa = rows.pop(dkim_keys.Algorithm.RSA)
    databases.take_role("owner")
    DkimKey.objects.filter(pk__in=[row.pk for row in rows.values()]).delete()
    databases.take_role("app")
    return pem_of(domains.load_key(rsa, domain_name=domain.name))


def pem_of(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    pem: bytes = key.private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return pem


def run_round(bench: Bench, peer: "postfix.Postfix", size: int) -> Round:
    accepting = accept(bench, size)
    ours, cpu = deliver()
    theirs = peer.relay(
        bench.count, size=size, sender=SENDER, recipient=RECIPIENT, sessions=SESSIONS
    )
    return Round(ours, accepting, cpu, theirs)


def accept(bench: Bench, size: int) -> float:
    body = {"from": SENDER, "to": RECIPIENT, "subject": "Bench", "text": text_of(size)}
    actor = actor_of(bench.key, origin=Origin(ip="127.0.0.1", user_agent="", request_id="bench"))
    began = time.perf_counter()
    for start in range(0, bench.count, 100):
        asked = [
            submissions.read(body, recipients_maximum=50)
            for _ in range(min(100, bench.count - start))
        ]
        batch.accept_batch(asked, key=bench.key, actor=actor)
    return time.perf_counter() - began


def text_of(size: int) -> str:
    """Lines as people write them; smtp-source's are 80 characters too."""
    return ("x" * 78 + "\n") * (size // 79)


def deliver() -> tuple[float, float]:
    """Two workers deliver what was accepted: seconds until none waits, and their CPU seconds."""
    put_off(True)
    workers = [start_worker() for _ in range(WORKERS)]
    for one in workers:
        assert one.stdout is not None
        one.stdout.readline()
    put_off(False)
    began = time.perf_counter()
    for one in workers:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    told = [one.communicate()[0] for one in workers]
    seconds = time.perf_counter() - began
    expect_all_sent()
    return seconds, sum(float(line) for line in told)


def put_off(is_later: bool) -> None:
    """Nothing is due until the workers are ready."""
    databases.take_role("worker")
    due_at = timezone.now() + timezone.timedelta(hours=1 if is_later else 0)
    Recipient.objects.claimable().update(due_at=due_at)
    databases.take_role("app")


def expect_all_sent() -> None:
    databases.take_role("worker")
    wrong = Recipient.objects.exclude(state="sent").count()
    databases.take_role("app")
    if wrong:
        raise SystemExit(f"The ledger does not balance: {wrong} recipients were not sent.")


def start_worker() -> "subprocess.Popen[str]":
    url = urlsplit(os.environ["DATABASE_WORKER_URL"])._replace(path=f"/{DATABASE}").geturl()
    env = {
        **os.environ,
        "QUEENSMTP_PROCESS": "worker",
        "DATABASE_WORKER_URL": url,
        "DELIVERY_TRANSPORT": "relay",
        "RELAY_URL": f"smtp://127.0.0.1:{SINK}",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.send_worker"],
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@contextmanager
def sink() -> Iterator[None]:
    started = subprocess.Popen(["smtp-sink", "-u", "nobody", f"127.0.0.1:{SINK}", "1000"])
    try:
        time.sleep(0.5)
        yield
    finally:
        started.terminate()
        started.wait()


def tell(size: int, count: int, rounds: list[Round]) -> None:
    def median(values: Iterator[float]) -> float:
        return statistics.median(list(values))

    print(f"{size // 1000} kB, {count} messages, {len(rounds)} rounds, medians:")
    print(f"  ours, delivering          {median(count / one.ours for one in rounds):7.0f} /s")
    whole = median(count / (one.ours + one.accepting) for one in rounds)
    print(f"  ours, accepting too       {whole:7.0f} /s")
    print(f"  Postfix + OpenDKIM        {median(count / one.theirs for one in rounds):7.0f} /s")
    print(f"  ratio, delivering         {median(one.theirs / one.ours for one in rounds):7.2f}")
    ratio = median(one.theirs / (one.ours + one.accepting) for one in rounds)
    print(f"  ratio, accepting too      {ratio:7.2f}")
    micros = median(one.cpu / count * 1e6 for one in rounds)
    print(f"  our workers' CPU          {micros:7.0f} µs a message", flush=True)


if __name__ == "__main__":
    main()
