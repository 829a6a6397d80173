"""The two servers of `accept.py`, each upon a database of its own on the same Postgres."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_connection
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
from psycopg import sql

OURS, PEERS = "bench_accept", "bench_accept_peer"
ROOT = Path(__file__).resolve().parent.parent
PROCESSES, PATIENCE_SECONDS = 2, 60


def url_of(variable: str, database: str) -> str:
    return urlunsplit(urlsplit(os.environ[variable])._replace(path=f"/{database}"))


def make_databases() -> None:
    """Anew, so that each run starts from empty tables."""
    admin = url_of("DATABASE_ADMIN_URL", "postgres").replace("postgres://", "postgresql://", 1)
    with psycopg.connect(admin, autocommit=True) as server:
        for name in (OURS, PEERS):
            named = sql.Identifier(name)
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(named))
            server.execute(sql.SQL("CREATE DATABASE {} OWNER owner").format(named))


def drop_databases() -> None:
    admin = url_of("DATABASE_ADMIN_URL", "postgres").replace("postgres://", "postgresql://", 1)
    with psycopg.connect(admin, autocommit=True) as server:
        for name in (OURS, PEERS):
            named = sql.Identifier(name)
            server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(named))


def our_environment() -> dict[str, str]:
    """A limit of the key that no run reaches, in Valkey as in production."""
    variables = ("DATABASE_URL", "DATABASE_WORKER_URL", "DATABASE_OWNER_URL")
    return {
        **os.environ,
        **{name: url_of(name, OURS) for name in variables},
        "QUEENSMTP_PROCESS": "web",
        "KEY_RATE_REQUESTS": "100000",
        "KEY_RATE_BURST": "100000",
        "BATCH_MAX": "1000",
    }


def peer_environment() -> dict[str, str]:
    return {**os.environ, "PEER_DATABASE_URL": url_of("DATABASE_OWNER_URL", PEERS)}


def migrate_ours() -> None:
    env = {**our_environment(), "QUEENSMTP_PROCESS": "owner"}
    command = [sys.executable, "manage.py", "migrate", "-v", "0"]
    subprocess.run(command, cwd=ROOT, env=env, check=True)


def prepare_peer() -> str:
    """The peer's key."""
    command = [sys.executable, "-m", "benchmarks.peers.drf_mail.prepare"]
    done = subprocess.run(
        command, cwd=ROOT, env=peer_environment(), check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout.strip()


@contextmanager
def serving(application: str, interface: str, port: int, env: Mapping[str, str]) -> Iterator[int]:
    """granian with two processes and TLS, as `make up` starts it; its process group."""
    threads = ("--blocking-threads", "4") if interface == "wsgi" else ()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "granian", "--interface", interface, "--no-ws"),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", str(PROCESSES)),
            *("--no-access-log", "--ssl-protocol-min", "tls1.2", *threads),
            *("--ssl-certificate", os.environ["TLS_CERT_FILE"]),
            *("--ssl-keyfile", os.environ["TLS_KEY_FILE"], application),
        ],
        cwd=ROOT,
        env=dict(env),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(port)
        yield process.pid
    finally:
        process.terminate()
        process.wait(20)


class Processes:
    """A server with the Postgres and the Valkey that it asks."""

    def __init__(self, group: int, database: str) -> None:
        with psycopg.connect(database) as connection:
            row = connection.execute("SELECT pg_backend_pid()").fetchone()
            assert row is not None
            self._postmaster = int(_stat(row[0])[1])
        with redis.from_url(os.environ["REDIS_URL"]) as client:
            self._valkey = int(client.info("server")["process_id"])
        self._group = group

    def cpu_seconds(self) -> tuple[float, float, float]:
        """What the server, Postgres and Valkey have used so far, those that ended included."""
        server, postgres, valkey = 0, 0, 0
        for pid in [int(one.name) for one in Path("/proc").glob("[0-9]*")]:
            with suppress(OSError):
                fields = _stat(pid)
                ticks = int(fields[11]) + int(fields[12])
                if int(fields[2]) == self._group:
                    server += ticks
                elif pid == self._postmaster:
                    postgres += ticks + int(fields[13]) + int(fields[14])
                elif int(fields[1]) == self._postmaster:
                    postgres += ticks
                elif pid == self._valkey:
                    valkey += ticks
        second = os.sysconf("SC_CLK_TCK")
        return server / second, postgres / second, valkey / second


def _stat(pid: int) -> list[str]:
    """The fields of `proc(5)` from the state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _wait_for(port: int) -> None:
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        with suppress(OSError), create_connection(("127.0.0.1", port), 1):
            return
        if time.monotonic() > ends_at:
            raise TimeoutError(f"no server at {port}")
        time.sleep(0.2)
