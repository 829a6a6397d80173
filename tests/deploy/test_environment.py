"""Which process is told what: nobody gets a secret or a database role that it does not need."""

from collections.abc import Mapping

import pytest

from deploy.local import certificates, environment, secret_files
from deploy.local.checkout import Checkout
from deploy.local.environment import Addresses
from deploy.local.ports import Ports
from deploy.local.programs import Program, all_programs

ADDRESSES = Addresses(
    app="postgres://app@db/q",
    worker="postgres://worker@db/q",
    owner="postgres://owner@db/q",
    superuser="postgres://postgres@db/q",
    redis="unix:///valkey.sock",
)
ROLES = {"DATABASE_URL", "DATABASE_WORKER_URL", "DATABASE_OWNER_URL", "DATABASE_ADMIN_URL"}


@pytest.fixture(autouse=True)
def _secrets(checkout: Checkout) -> None:
    secret_files.ensure(checkout.secrets)


def test_only_web_processes_are_given_the_peppers(checkout: Checkout) -> None:
    given = {name for name, env in environments(checkout, {}).items() if "KEY_PEPPERS_FILE" in env}
    assert given == {"web", "inbox", "receiver", "smtpd"}


def test_only_the_sealer_is_given_the_log_key(checkout: Checkout) -> None:
    typed = {"AUDIT_SIGNING_KEY": "typed in the shell"}
    for environ in ({}, typed):
        found = environments(checkout, environ).items()
        given = {name for name, env in found if any("AUDIT_SIGNING" in key for key in env)}
        assert given == {"worker-audit"}


def test_only_the_https_port_is_given_the_metrics_token(checkout: Checkout) -> None:
    typed = {"METRICS_TOKEN": "typed in the shell"}
    for environ in ({}, typed):
        found = environments(checkout, environ).items()
        assert {name for name, env in found if any("METRICS" in key for key in env)} == {"web"}


def test_each_process_knows_one_database_role(checkout: Checkout) -> None:
    everything = dict.fromkeys(ROLES, "postgres://typed-in-the-shell")
    for env in environments(checkout, everything).values():
        expected = "DATABASE_URL" if env["QUEENSMTP_PROCESS"] == "web" else "DATABASE_WORKER_URL"
        assert env.keys() & ROLES == {expected}


def test_a_setting_of_the_user_stands(checkout: Checkout) -> None:
    environ = {"DELIVERY_TRANSPORT": "relay", "RELAY_URL": "smtp://relay", "SECRET_KEY": "typed"}
    env = environments(checkout, environ)["web"]
    assert (env["DELIVERY_TRANSPORT"], env["RELAY_URL"]) == ("relay", "smtp://relay")
    assert env["SECRET_KEY"] == "typed"
    assert "SECRET_KEY_FILE" not in env


def test_the_python_of_the_shell_is_not_ours(checkout: Checkout) -> None:
    environ = {"PYTHONPATH": "/elsewhere", "VIRTUAL_ENV": "/elsewhere", "MAKEFLAGS": "k"}
    assert environments(checkout, environ)["web"].keys() & environ.keys() == set()


def test_a_command_typed_by_hand_gets_every_role(checkout: Checkout) -> None:
    env = environment.of_command(checkout, ADDRESSES, {})
    assert env.keys() >= ROLES | {"KEY_PEPPERS_FILE", "AUDIT_SIGNING_KEY_FILE"}


def environments(checkout: Checkout, environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """What each process of `make up` is started with."""
    tls = certificates.files_in(checkout.tls)
    shared = environment.shared(checkout, Ports(), tls, ADDRESSES, environ)
    programs: list[Program] = all_programs(checkout, Ports(), tls, environ)
    return {
        program.name: {
            **shared,
            **environment.of_process(program.kind, checkout, ADDRESSES, environ),
            **program.environment,
        }
        for program in programs
    }
