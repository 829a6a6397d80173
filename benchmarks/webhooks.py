"""Webhook deliveries a second, ours beside one Celery task per delivery with `requests`.

    make bench-webhooks                               (ARGS=--quick: does it run?)

1,000 endpoints on one receiver of this machine, one kind of event of some 400 bytes. Ours begins
with rows in the outbox and two worker processes; the peer with tasks in Valkey and two worker
processes of Celery's prefork pool, which is its default here. Both sign; ours also checks every
address that it dials and records every attempt. The receiver is reached by TLS, and plainly, which
only this benchmark does.

Then every tenth endpoint hangs. Shown is how long the deliveries to the healthy ones took, from
the start to their arrival: 95 of 100 were there after so many seconds. What did not arrive within
the time of a round counts as that time, which flatters the slower side. The sides take turns.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import django

django.setup()

from django.db import connection  # noqa: E402

from accounts import actions as accounts  # noqa: E402
from accounts.models import Account, User  # noqa: E402
from benchmarks import databases  # noqa: E402
from benchmarks.peers import celery_webhooks as peer  # noqa: E402
from queensmtp import valkey  # noqa: E402
from queensmtp.actors import system_actor  # noqa: E402
from queensmtp.ids import new_id  # noqa: E402
from queensmtp.tenancy import tenant  # noqa: E402
from tests.certificates import Authority  # noqa: E402
from webhooks import secret_actions  # noqa: E402
from webhooks.catalogue import CATALOGUE  # noqa: E402
from webhooks.models import Delivery, Endpoint  # noqa: E402
from webhooks.payloads import WebhookEvent, body_of  # noqa: E402

DATABASE = "queensmtp_bench_webhooks"
ENDPOINTS_PER_ACCOUNT = 50
WORKERS = 2
TYPE = "email.delivered"
PEER_QUEUE = "bench-webhooks-peer"
STARTS_SECONDS = 60


@dataclass(frozen=True)
class Sizes:
    endpoints: int
    deliveries: int
    rounds: int
    # Of a round in which some hang.
    seconds: float


@dataclass(frozen=True)
class Sent:
    """One delivery of a round."""

    id: str
    url: str
    body: bytes
    endpoint: int

    @property
    def hangs(self) -> bool:
        return "/hang" in self.url


@dataclass(frozen=True)
class Outcome:
    """What one side did in one round."""

    arrived: int
    # Until the last arrival.
    seconds: float
    p95: float
    cpu: float


class Bench:
    """Accounts, endpoints and the certificate that all rounds share."""

    def __init__(self, sizes: Sizes, folder: Path) -> None:
        self.sizes = sizes
        self.authority = Authority(folder)
        self.certificate = self.authority.issue("127.0.0.1")
        databases.create(DATABASE)
        self.endpoints = [one for account in self._accounts() for one in self._endpoints(account)]

    def _accounts(self) -> Iterator[Account]:
        by = system_actor(None, "benchmark")
        for number in range(-(-self.sizes.endpoints // ENDPOINTS_PER_ACCOUNT)):
            owner = User.objects.create_user(f"bench{number}@bench.example", None)
            account = accounts.create_account(name=f"Bench {number}", owner=owner, by=by)
            with tenant(account.pk):
                secret_actions.ensure_for_account(account.pk)
            yield account

    def _endpoints(self, account: Account) -> list[Endpoint]:
        rows = [
            Endpoint(account=account, url="", events=[TYPE]) for _ in range(ENDPOINTS_PER_ACCOUNT)
        ]
        with tenant(account.pk):
            return Endpoint.objects.bulk_create(rows)

    def round(self, port: int, *, scheme: str, hanging: bool) -> list[Sent]:
        """Fresh deliveries, one after the other over the endpoints."""
        self._point(port, scheme, hanging)
        sent = []
        for number in range(self.sizes.deliveries):
            place = number % self.sizes.endpoints
            event = WebhookEvent(new_id(), TYPE, datetime.now(UTC), CATALOGUE[TYPE].data)
            endpoint = self.endpoints[place]
            sent.append(Sent(str(event.id), endpoint.url, body_of(event), place))
        return sent

    def _point(self, port: int, scheme: str, hanging: bool) -> None:
        for number, endpoint in enumerate(self.endpoints):
            kind = "hang" if hanging and number % 10 == 0 else "ok"
            endpoint.url = f"{scheme}://127.0.0.1:{port}/{kind}/{number}"
            endpoint.failing_since = endpoint.resting_until = None
        for account_id in {one.account_id for one in self.endpoints}:
            mine = [one for one in self.endpoints if one.account_id == account_id]
            with tenant(account_id):
                Endpoint.objects.bulk_update(mine, ["url", "failing_since", "resting_until"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=20_000, help="a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    # So that what was started is ended, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sizes = Sizes(1_000, given.deliveries, given.rounds, 60.0)
    if given.quick:
        sizes = Sizes(50, 200, 1, 5.0)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(sizes, Path(folder))
        for scheme in ("https", "http"):
            compare(bench, scheme=scheme, hanging=False)
        compare(bench, scheme="https", hanging=True)
    databases.drop(DATABASE)


def compare(bench: Bench, *, scheme: str, hanging: bool) -> None:
    ours, theirs = [], []
    for _ in range(bench.sizes.rounds):
        ours.append(one_round(bench, OurWorkers(bench), scheme=scheme, hanging=hanging))
        theirs.append(one_round(bench, CeleryWorkers(bench), scheme=scheme, hanging=hanging))
    tell(bench, ours, theirs, scheme=scheme, hanging=hanging)


def one_round(bench: Bench, side: "Side", *, scheme: str, hanging: bool) -> Outcome:
    with receiver(bench.certificate if scheme == "https" else None) as (port, arrivals):
        sent = bench.round(port, scheme=scheme, hanging=hanging)
        healthy = [one for one in sent if not one.hangs]
        patience = bench.sizes.seconds if hanging else 10 * bench.sizes.seconds
        try:
            began = side.start(sent)
            deadline = time.time() + patience
            while time.time() < deadline and not side.is_done(len(healthy)):
                time.sleep(0.05)
        finally:
            cpu = side.stop()
    seconds = [arrivals.get(one.id, began + patience) - began for one in healthy]
    arrived = sum(one.id in arrivals for one in healthy)
    if not hanging and arrived != len(healthy):
        raise SystemExit(f"The ledger does not balance: {arrived} of {len(healthy)} arrived.")
    return Outcome(arrived, max(seconds), statistics.quantiles(seconds, n=20)[-1], cpu)


@contextmanager
def receiver(certificate: tuple[str, str] | None) -> Iterator[tuple[int, dict[str, float]]]:
    """Its port, and what it saw, which is filled when the block ends."""
    command = [sys.executable, "-m", "benchmarks.webhook_receiver", *(certificate or ())]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    arrivals: dict[str, float] = {}
    try:
        yield int(process.stdout.readline()), arrivals
    finally:
        process.terminate()
        arrivals.update(json.loads(process.communicate()[0]))


class Side:
    """Workers that take what was sent; `start` says when they began."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.workers: list[subprocess.Popen[str]] = []

    def start(self, sent: Sequence[Sent]) -> float:
        raise NotImplementedError

    def is_done(self, healthy_count: int) -> bool:
        raise NotImplementedError

    def stop(self) -> float:
        """CPU seconds of all workers."""
        raise NotImplementedError


class OurWorkers(Side):
    def start(self, sent: Sequence[Sent]) -> float:
        self.workers = [self._worker() for _ in range(WORKERS)]
        for one in self.workers:
            assert one.stdout is not None
            one.stdout.readline()
        self._enqueue(sent)
        began = time.time()
        for one in self.workers:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        return began

    def _enqueue(self, sent: Sequence[Sent]) -> None:
        now = datetime.now(UTC)
        by_account: dict[object, list[Delivery]] = {}
        for one in sent:
            endpoint = self.bench.endpoints[one.endpoint]
            row = Delivery(
                account_id=endpoint.account_id,
                endpoint_id=endpoint.pk,
                event_id=one.id,
                event_type=TYPE,
                body=one.body,
                due_at=now,
            )
            by_account.setdefault(endpoint.account_id, []).append(row)
        for account_id, rows in by_account.items():
            with tenant(account_id):  # type: ignore[arg-type]
                Delivery.objects.bulk_create(rows, batch_size=2_000)

    def _worker(self) -> "subprocess.Popen[str]":
        url = urlsplit(os.environ["DATABASE_WORKER_URL"])._replace(path=f"/{DATABASE}").geturl()
        env = {
            **os.environ,
            "QUEENSMTP_PROCESS": "worker",
            "DATABASE_WORKER_URL": url,
            "OUTBOUND_CA_FILE": str(self.bench.authority.ca_file),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.webhook_worker"],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def is_done(self, healthy_count: int) -> bool:
        databases.take_role("worker")
        delivered = Delivery.objects.filter(state="delivered").count()
        databases.take_role("app")
        return bool(delivered >= healthy_count)

    def stop(self) -> float:
        for one in self.workers:
            one.terminate()
        cpu = sum(float(one.communicate()[0]) for one in self.workers)
        databases.take_role("owner")
        self._forget()
        databases.take_role("app")
        return cpu

    def _forget(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE webhooks_delivery, webhooks_attempt")


class CeleryWorkers(Side):
    def start(self, sent: Sequence[Sent]) -> float:
        valkey.client().delete(PEER_QUEUE)
        for one in sent:
            peer.deliver.delay(one.url, one.id, one.body.decode())
        command = [
            *(sys.executable, "-m", "celery", "-A", "benchmarks.peers.celery_webhooks", "worker"),
            *("-Q", PEER_QUEUE, "-c", str(WORKERS), "--loglevel", "ERROR"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ]
        env = {**os.environ, "OUTBOUND_CA_FILE": str(self.bench.authority.ca_file)}
        self.workers = [
            subprocess.Popen(
                command,
                env=env,
                text=True,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        ]
        # From the first task taken, so that the start of the program counts for neither side.
        deadline = time.time() + STARTS_SECONDS
        while valkey.client().llen(PEER_QUEUE) >= len(sent):
            if time.time() > deadline:
                raise SystemExit("Celery did not begin.")
            time.sleep(0.001)
        return time.time()

    def is_done(self, healthy_count: int) -> bool:
        return not valkey.client().llen(PEER_QUEUE) and not valkey.client().zcard("unacked_index")

    def stop(self) -> float:
        cpu = 0.0
        for main in self.workers:
            cpu += cpu_of_session(main.pid)
            os.killpg(main.pid, signal.SIGKILL)
            main.wait()
        valkey.client().delete(PEER_QUEUE, "unacked", "unacked_index")
        return cpu


def cpu_of_session(session: int) -> float:
    """Of all processes of a session, in seconds (proc(5): fields 6, 14 and 15 of stat)."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def tell(
    bench: Bench, ours: Sequence[Outcome], theirs: Sequence[Outcome], *, scheme: str, hanging: bool
) -> None:
    what = "every tenth endpoint hangs" if hanging else "all endpoints answer"
    print(f"{scheme}, {bench.sizes.endpoints} endpoints, {bench.sizes.deliveries} deliveries,")
    print(f"{what}, {bench.sizes.rounds} rounds, medians:")
    for name, side in (("ours", ours), ("Celery + requests", theirs)):
        rate = statistics.median(one.arrived / one.seconds for one in side)
        micros = statistics.median(one.cpu / max(one.arrived, 1) * 1e6 for one in side)
        p95 = statistics.median(one.p95 for one in side)
        share = statistics.median(one.arrived for one in side)
        print(
            f"  {name:18} {rate:7.0f} /s {micros:8.0f} µs CPU each   healthy p95 {p95:6.2f} s",
            end="",
        )
        print(f"   arrived {share:.0f}")
    ratio = statistics.median(b.p95 / a.p95 for a, b in zip(ours, theirs, strict=True))
    print(f"  ratio of the p95   {ratio:7.1f}", flush=True)


if __name__ == "__main__":
    main()
