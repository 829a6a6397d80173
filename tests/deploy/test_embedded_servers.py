"""The real Postgres and Valkey, as `make up` runs them."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString
from urllib.parse import unquote, urlsplit

import psycopg
import pytest
import redis

from deploy.local import children, process_table
from deploy.local.checkout import Checkout
from deploy.local.children import Child
from deploy.local.places import choose, make_folders
from deploy.local.postgres import Postgres
from deploy.local.valkey import Valkey
from deploy.smoke.listeners import listeners_of


@pytest.fixture
def postgres(checkout: Checkout) -> Iterator[Postgres]:
    places = choose(checkout, {})
    make_folders(places)
    yield Postgres(places, {children.MARK: checkout.fingerprint}, checkout.logs / "postgres.log")
    children.sweep(checkout.fingerprint)
    for left in places.sockets.iterdir():
        left.unlink()
    places.sockets.rmdir()


@pytest.fixture
def valkey(postgres: Postgres, checkout: Checkout) -> Valkey:
    return Valkey(postgres.places, postgres.mark, checkout.logs / "valkey.log")


def test_postgres_starts_anew_after_a_crash_although_its_old_pid_is_a_strangers(
    postgres: Postgres,
) -> None:
    child = postgres.start()
    postgres.make_roles_and_database()
    postgres.make_roles_and_database()  # A second run finds them there.
    assert roles_of(postgres) == {
        ("app", True, False),
        ("lookup", False, False),
        ("retention", False, False),
        ("owner", True, False),
        ("postgres", True, True),
        ("worker", True, False),
    }
    assert listeners_of(process_table.members_of_group(child.pid)) == []

    pid_file = postgres.places.postgres_data / "postmaster.pid"
    kill(child)
    with subprocess.Popen(["sleep", "60"], **postgres.places.user.popen_arguments()) as stranger:
        lines = pid_file.read_text().split("\n")
        pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]))
        again = postgres.start()
        assert stranger.poll() is None
        stranger.kill()
    assert ask(postgres, "app", "SELECT current_user") == [("app",)]
    children.stop([again], grace_seconds=5)
    assert again.exit_code() == 0


def test_an_orphaned_postgres_is_stopped_not_mistaken_for_our_own(postgres: Postgres) -> None:
    orphan = postgres.start()
    child = postgres.start()
    assert orphan.exit_code() is not None
    assert child.exit_code() is None
    children.stop([child], grace_seconds=5)


def test_valkey_keeps_what_it_held_when_it_is_killed(valkey: Valkey) -> None:
    child = valkey.start()
    client = redis.from_url(valkey.url)
    client.set("bell", "rung")
    assert client.config_get("appendonly") == {"appendonly": "yes"}
    client.close()
    assert listeners_of([child.pid]) == []
    child.popen.kill()
    child.popen.wait()

    again = valkey.start()
    client = redis.from_url(valkey.url)
    assert client.get("bell") == b"rung"
    client.close()
    children.stop([again], grace_seconds=5)


def test_an_orphaned_valkey_is_stopped_before_another_opens_its_file(valkey: Valkey) -> None:
    orphan = valkey.start()
    child = valkey.start()
    assert orphan.exit_code() is not None
    assert valkey._answering_pid() == child.pid
    children.stop([child], grace_seconds=5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")
def test_root_runs_them_as_nobody(valkey: Valkey) -> None:
    child = valkey.start()
    assert Path(f"/proc/{child.pid}").stat().st_uid == valkey.places.user.uid != 0
    children.stop([child], grace_seconds=5)


def roles_of(postgres: Postgres) -> set[tuple[object, ...]]:
    rows = ask(
        postgres,
        "postgres",
        "SELECT rolname, rolcanlogin, rolsuper OR rolbypassrls FROM pg_roles "
        "WHERE NOT starts_with(rolname, 'pg_')",
    )
    return set(rows)


def ask(postgres: Postgres, role: str, question: LiteralString) -> list[tuple[object, ...]]:
    """Over the very URL that the processes are given."""
    url = urlsplit(postgres.url(role))
    folder = unquote(url.netloc.partition("@")[2])
    with psycopg.connect(host=folder, user=url.username, dbname=url.path[1:]) as connection:
        return connection.execute(question).fetchall()


def kill(child: Child) -> None:
    """As the kernel does when memory runs out: no goodbye, the pid file stays."""
    os.killpg(child.pid, signal.SIGKILL)
    child.popen.wait()
    children.wait_until(lambda: child.is_gone(), seconds=5)
