"""Exim 4 of Debian, on a port of its own."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mtas.packages import unpacked
from tests.mtas.views import USERS, started
from tests.mtas.ways import Relay, Smarthost, wait_for

OFFERS_SMTPUTF8 = True

COMMON = """
exim_path = {program}
keep_environment =
deliver_drop_privilege = true
primary_hostname = exim.example
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
disable_ipv6 = true
spool_directory = {folder}/spool
log_file_path = {folder}/spool/log-%s
acl_smtp_rcpt = accept
accept_8bitmime = true
smtputf8_advertise_hosts = *
tls_advertise_hosts =
"""
RELAY = """
begin routers
returns:
  driver = manualroute
  domains = {return_host}
  transport = to_returns
  route_list = * 127.0.0.1
  self = send
out:
  driver = manualroute
  transport = to_sink
  route_list = * 127.0.0.1
  self = send
begin transports
to_returns:
  driver = smtp
  port = {returns}
  allow_localhost
to_sink:
  driver = smtp
  port = {sink}
  allow_localhost
"""
SMARTHOST = """
begin routers
out:
  driver = manualroute
  transport = submit
  route_list = * localhost byname
  self = send
begin transports
submit:
  driver = smtp
  port = {submission}
  protocol = {protocol}
  allow_localhost
  hosts_require_tls = *
  hosts_require_auth = *
  tls_verify_certificates = {ca_file}
  tls_verify_hosts = *
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^queensmtp^{token}
"""


@contextmanager
def running(way: Relay | Smarthost, folder: Path) -> Iterator[int]:
    program = _program(folder)
    given = {**vars(way), "folder": folder, "program": program}
    if isinstance(way, Relay):
        text = COMMON + RELAY
    else:
        text = COMMON + SMARTHOST
        given["protocol"] = "smtps" if way.is_implicit_tls else "smtp"
    config = folder / "exim.conf"
    config.write_text(text.format(**given))
    config.chmod(0o644)
    user = USERS["Debian-exim"]
    prepare = [f"mkdir -p {folder}/spool", f"chown {user}:{user} {folder}/spool"]
    command = [str(program), "-C", str(config), "-bdf", "-q1s"]
    with started(command, folder=folder, prepare=prepare):
        wait_for(way.port, folder=folder)
        yield way.port


def _program(folder: Path) -> Path:
    """A copy that every user reaches and that is not setuid: who delivers by SMTP alone needs no
    right of root, and may be told where the library is."""
    binary = folder / "exim4"
    shutil.copyfile(unpacked("exim4-daemon-light") / "usr/sbin/exim4", binary)
    for library in unpacked("libidn12").glob("usr/lib/*/lib*"):
        shutil.copyfile(library, folder / library.name)
    wrapper = folder / "exim"
    wrapper.write_text(f'#!/bin/sh\nLD_LIBRARY_PATH={folder} exec {binary} "$@"\n')
    for one in (binary, wrapper):
        one.chmod(0o755)
    return wrapper
