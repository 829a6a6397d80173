"""The embedded Postgres: one cluster under var/, reached over a unix socket and nothing else."""

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from deploy.local import process_table
from deploy.local.binaries import postgres_programs
from deploy.local.children import Child, launch, wait_until
from deploy.local.errors import ServerFailed
from deploy.local.logs import last_lines
from deploy.local.places import POSTGRES_SOCKET, Places

SUPERUSER = "postgres"
DATABASE = "queensmtp"
LOGIN_ROLES = ("owner", "app", "worker")
# They own functions, and nobody can log in as one.
FUNCTION_ROLES = ("lookup", "retention")
LONGEST_START_SECONDS = 60.0
OPTIONS = {
    "listen_addresses": "",
    "max_connections": "200",
    "unix_socket_permissions": "0700",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


@dataclass(frozen=True)
class Postgres:
    places: Places
    mark: dict[str, str]
    log: Path

    def url(self, role: str) -> str:
        return f"postgres://{role}@{quote(str(self.places.sockets), safe='')}/{DATABASE}"

    def start(self) -> Child:
        """Start the server and wait until *this* one answers: an orphan would answer too."""
        programs = postgres_programs(self.places)
        if not self._has_cluster():
            self._make_cluster(programs)
        self._clear_stale_pid_file()
        child = self._launch(programs)
        is_ready = wait_until(
            lambda: child.exit_code() is not None or self._answers(child),
            seconds=LONGEST_START_SECONDS,
        )
        if child.exit_code() is not None or not is_ready:
            told = "\n  ".join(last_lines(self.log, 3))
            raise ServerFailed(f"Postgres did not start ({self.log}):\n  {told}")
        return child

    def make_roles_and_database(self) -> None:
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            for role in LOGIN_ROLES:
                _create_role(connection, role, "LOGIN NOINHERIT")
            for role in FUNCTION_ROLES:
                _create_role(connection, role, "NOLOGIN NOINHERIT")
                connection.execute(sql.SQL("GRANT {} TO owner").format(sql.Identifier(role)))
            found = connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
            ).fetchone()
            if found is None:
                connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER owner").format(sql.Identifier(DATABASE))
                )

    @property
    def _data(self) -> Path:
        return self.places.postgres_data

    def _has_cluster(self) -> bool:
        return (self._data / "PG_VERSION").exists()

    def _make_cluster(self, programs: Path) -> None:
        # A run that was cut off leaves a folder without PG_VERSION, which initdb would refuse.
        draft = self._data.with_name("postgres.draft")
        subprocess.run(["rm", "-rf", str(draft), str(self._data)], check=True)
        self.places.user.own(draft)
        made = subprocess.run(
            [
                *(str(programs / "initdb"), "-D", str(draft), "-U", SUPERUSER, "-A", "trust"),
                *("-E", "UTF8", "--locale=C.UTF-8", "--no-instructions"),
            ],
            env=_clean_environment(),
            cwd=draft,
            capture_output=True,
            text=True,
            **self.places.user.popen_arguments(),
        )
        if made.returncode:
            raise ServerFailed(f"initdb failed:\n{made.stdout}{made.stderr}")
        draft.rename(self._data)

    def _clear_stale_pid_file(self) -> None:
        """After a kill -9 the file may name a process that has since got the same number.

        Postgres refuses to start then. We hold the lock, so a live postmaster of this cluster is
        an orphan of ours: it is stopped; anything else under that number is a stranger.
        """
        pid_file = self._data / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = int(pid_file.read_text().split("\n", 1)[0])
        if self._is_our_postmaster(pid):
            os.kill(pid, signal.SIGINT)
            if not wait_until(lambda: not process_table.is_running(pid), seconds=10):
                os.kill(pid, signal.SIGKILL)
                wait_until(lambda: not process_table.is_running(pid), seconds=5)
        for leftover in (
            pid_file,
            self.places.sockets / POSTGRES_SOCKET,
            self.places.sockets / f"{POSTGRES_SOCKET}.lock",
        ):
            leftover.unlink(missing_ok=True)

    def _is_our_postmaster(self, pid: int) -> bool:
        return process_table.is_running(pid) and str(self._data) in process_table.arguments(pid)

    def _launch(self, programs: Path) -> Child:
        options = {**OPTIONS, "unix_socket_directories": str(self.places.sockets)}
        settings = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return launch(
            "postgres",
            [str(programs / "postgres"), "-D", str(self._data), *settings],
            env={**_clean_environment(), **self.mark},
            cwd=self._data,
            log=self.log,
            user=self.places.user,
            stop_signal=signal.SIGINT,  # "Fast": SIGTERM would wait for clients for ever.
        )

    def _answers(self, child: Child) -> bool:
        if self._pid_on_file() != child.pid:
            return False
        try:
            psycopg.connect(self._conninfo("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _pid_on_file(self) -> int | None:
        try:
            return int((self._data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    def _conninfo(self, database: str) -> str:
        return f"host={self.places.sockets} user={SUPERUSER} dbname={database}"


def _create_role(connection: psycopg.Connection, name: str, attributes: str) -> None:
    found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
    if found is None:
        connection.execute(
            sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(name), sql.SQL(attributes))
        )


def _clean_environment() -> dict[str, str]:
    """An uninstalled LANG makes initdb fail."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
