"""What a person at the terminal sees of `make up`, `make down` and `make reset`."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from deploy.local import process_table
from deploy.local.checkout import ROOT, Checkout
from deploy.local.children import MARK, wait_until
from deploy.local.places import choose
from deploy.local.ports import HOST
from deploy.local.run_lock import find_holder

Environ = dict[str, str]


@pytest.fixture
def run_of_servers(checkout: Checkout, environ: Environ) -> Iterator["subprocess.Popen[str]"]:
    """A run that holds the lock, with Postgres and Valkey up."""
    with local("run", "sleep", "60", environ=environ) as popen:
        assert wait_until(lambda: servers_are_up(checkout), seconds=30)
        yield popen
        popen.terminate()


def test_a_second_make_up_says_that_one_is_running(
    checkout: Checkout, environ: Environ, run_of_servers: "subprocess.Popen[str]"
) -> None:
    code, output = finished(local("up", environ=environ))
    assert code == 1
    assert f"running already: `sleep 60` with pid {run_of_servers.pid}" in output
    assert "make down" in output


def test_a_command_uses_the_servers_of_the_run_that_is_there(
    environ: Environ, run_of_servers: "subprocess.Popen[str]"
) -> None:
    code, output = finished(local("run", "printenv", "DATABASE_ADMIN_URL", environ=environ))
    assert code == 0
    assert output.startswith("postgres://postgres@%2F")
    assert run_of_servers.poll() is None


def test_reset_is_refused_while_something_runs_and_down_stops_it(
    checkout: Checkout, environ: Environ, run_of_servers: "subprocess.Popen[str]"
) -> None:
    code, output = finished(module("deploy.local.reset", environ=environ))
    assert (code, "`make down` first" in output) == (1, True)
    code, output = finished(module("deploy.local.down", environ=environ))
    assert (code, f"stopped `sleep 60` (pid {run_of_servers.pid})" in output) == (0, True)
    assert nothing_is_left(checkout)
    assert not choose(checkout, environ).sockets.exists()


def test_sigterm_leaves_no_process(
    checkout: Checkout, run_of_servers: "subprocess.Popen[str]"
) -> None:
    run_of_servers.send_signal(signal.SIGTERM)
    run_of_servers.wait(timeout=15)
    assert nothing_is_left(checkout)


def test_even_kill_9_leaves_no_process(
    checkout: Checkout, run_of_servers: "subprocess.Popen[str]"
) -> None:
    run_of_servers.kill()
    assert wait_until(lambda: nothing_is_left(checkout), seconds=10)


def test_a_taken_port_is_named_before_anything_starts(checkout: Checkout, environ: Environ) -> None:
    with socket.create_server((HOST, 31443)):
        code, output = finished(local("up", environ=environ))
    assert code == 1
    assert "31443 (HTTPS)" in output
    assert "QUEENSMTP_PORT_BASE" in output
    assert not (checkout.var / "postgres").exists()


def test_half_a_set_of_database_roles_is_refused_with_the_mend(environ: Environ) -> None:
    environ["DATABASE_URL"] = "postgres://app@db.example/queensmtp"
    code, output = finished(local("run", "true", environ=environ))
    assert code == 1
    assert "DATABASE_WORKER_URL, DATABASE_OWNER_URL is not" in output
    assert "Traceback" not in output


def test_a_given_database_and_redis_start_no_server(checkout: Checkout, environ: Environ) -> None:
    for name in ("DATABASE_URL", "DATABASE_WORKER_URL", "DATABASE_OWNER_URL"):
        environ[name] = f"postgres://{name.lower()}@db.example/queensmtp"
    environ["REDIS_URL"] = "redis://cache.example"
    code, output = finished(local("run", "printenv", "DATABASE_URL", "REDIS_URL", environ=environ))
    assert code == 0
    assert output.split() == [environ["DATABASE_URL"], environ["REDIS_URL"]]
    assert not (checkout.var / "log").exists()


def test_the_lock_file_tells_nobody_else_the_passwords(
    checkout: Checkout, run_of_servers: "subprocess.Popen[str]"
) -> None:
    found = checkout.lock_file.stat()
    assert (found.st_mode & 0o777, found.st_uid) == (0o600, os.geteuid())
    assert json.loads(checkout.lock_file.read_text())["pid"] == run_of_servers.pid


def servers_are_up(checkout: Checkout) -> bool:
    holder = find_holder(checkout.lock_file)
    return holder is not None and bool(holder.environment)


def nothing_is_left(checkout: Checkout) -> bool:
    marked = process_table.started_with(MARK, checkout.fingerprint)
    data = str(choose(checkout, {}).postgres_data)
    postmasters = [
        pid
        for pid in process_table.all_pids()
        if data in process_table.arguments(pid) and process_table.is_running(pid)
    ]
    return not marked and not postmasters


def local(*arguments: str, environ: Environ) -> "subprocess.Popen[str]":
    return module("deploy.local", *arguments, environ=environ)


def module(name: str, *arguments: str, environ: Environ) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", name, *arguments],
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(popen: "subprocess.Popen[str]") -> tuple[int, str]:
    output, _ = popen.communicate(timeout=30)
    return popen.returncode, output
