"""Postfix of Debian, an instance of its own; the machine's, if it has one, is not touched."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import system_packages
from tests.mtas.ways import Relay, Smarthost, wait_for

OFFERS_SMTPUTF8 = True
PURPOSE = "the checks with foreign mail servers"
PLAIN = Path("/usr/lib")

COMMON = """
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
inet_interfaces = loopback-only
inet_protocols = ipv4
mydestination =
mynetworks = 127.0.0.0/8
myhostname = postfix.example
transport_maps = inline:{{ {{ {return_host} = smtp:[127.0.0.1]:{returns} }} }}
relayhost = {relayhost}
"""
SMARTHOST = """
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = inline:{{ {{ {relayhost} = queensmtp:{token} }} }}
smtp_sasl_security_options = noanonymous
smtp_tls_security_level = secure
smtp_tls_CAfile = {ca_file}
smtp_tls_wrappermode = {wrapper}
smtp_host_lookup = native
"""


@contextmanager
def running(way: Relay | Smarthost, folder: Path) -> Iterator[int]:
    _ensure()
    folder.chmod(0o755)
    (folder / "main.cf").write_text(_settings(way, folder))
    master = Path("/usr/share/postfix/master.cf.dist").read_text().splitlines()
    # Without chroot, in which no name is found.
    lines = [
        re.sub(r"^((?:\S+\s+){4})y(?=\s)", r"\1n", line)
        for line in master
        if not line.startswith("smtp      inet")
    ]
    (folder / "master.cf").write_text(
        "\n".join([*lines, f"127.0.0.1:{way.port} inet n - n - - smtpd", ""])
    )
    for name in ("spool", "data"):
        (folder / name).mkdir()
    shutil.copy("/etc/postfix/dynamicmaps.cf", folder)
    _postfix(folder, "set-permissions")
    try:
        _postfix(folder, "start")
        wait_for(way.port, folder=folder)
        yield way.port
    finally:
        _postfix(folder, "stop")


def _settings(way: Relay | Smarthost, folder: Path) -> str:
    given = {**vars(way), "folder": folder}
    if isinstance(way, Relay):
        return COMMON.format(**given, relayhost=f"[127.0.0.1]:{way.sink}")
    given |= {
        "relayhost": f"[localhost]:{way.submission}",
        "wrapper": "yes" if way.is_implicit_tls else "no",
        "return_host": "nowhere.example",
        "returns": 1,
    }
    return (COMMON + SMARTHOST).format(**given)


def _ensure() -> None:
    has_plain = any(PLAIN.glob("*/sasl2/libplain.so"))
    if not (system_packages.has("postfix") and has_plain):
        system_packages.install("postfix", "libsasl2-modules", purpose=PURPOSE)


def _postfix(folder: Path, verb: str) -> None:
    done = subprocess.run(["postfix", "-c", str(folder), verb], capture_output=True, text=True)
    if done.returncode and verb == "start":
        raise AssertionError(f"Postfix does not start: {done.stderr}")
