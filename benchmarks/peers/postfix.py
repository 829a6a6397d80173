"""Postfix that signs by OpenDKIM and relays to a sink, each from Debian's package, on loopback.

An instance of its own in a folder that goes away with it; the machine's own Postfix, if it has
one, is not touched. The settings that matter for speed are Debian's defaults, but for what relays
to one host would trip over: its limits for one destination are raised.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("postfix", "opendkim", "smtp-sink", "smtp-source")

MAIN_CF = """
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
myhostname = localhost
relayhost = [127.0.0.1]:{sink}
smtp_tls_security_level = none
smtpd_milters = inet:127.0.0.1:{milter}
milter_default_action = tempfail
smtp_destination_concurrency_limit = 50
default_process_limit = 100
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
"""

OPENDKIM_CONF = """
Socket inet:{milter}@127.0.0.1
Domain {domain}
Selector qs1
KeyFile {folder}/key.pem
Canonicalization relaxed/relaxed
Mode s
InternalHosts 127.0.0.1
UserID opendkim
RequireSafeKeys no
Syslog no
"""


@contextmanager
def running(*, port: int, milter: int, sink: int, domain: str, key: bytes) -> Iterator["Postfix"]:
    folder = Path(tempfile.mkdtemp(prefix="queensmtp-postfix-"))
    os.chmod(folder, 0o755)
    signer = _start_opendkim(folder, milter=milter, domain=domain, key=key)
    try:
        _start_postfix(folder, port=port, milter=milter, sink=sink)
        yield Postfix(folder, port)
    finally:
        subprocess.run(["postfix", "-c", str(folder), "stop"], capture_output=True)
        signer.terminate()
        signer.wait()
        shutil.rmtree(folder)


class Postfix:
    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port

    def relay(self, count: int, *, size: int, sender: str, recipient: str, sessions: int) -> float:
        """Seconds from the first connection until the queue is empty."""
        began = time.perf_counter()
        subprocess.run(
            [
                *("smtp-source", "-s", str(sessions), "-m", str(count), "-l", str(size)),
                *("-f", sender, "-t", recipient, f"127.0.0.1:{self._port}"),
            ],
            check=True,
        )
        while self._is_busy():
            time.sleep(0.02)
        return time.perf_counter() - began

    def _is_busy(self) -> bool:
        queues = ("maildrop", "incoming", "active", "deferred")
        return any(
            any(files for _, _, files in os.walk(self._folder / "spool" / queue))
            for queue in queues
        )


def _start_opendkim(
    folder: Path, *, milter: int, domain: str, key: bytes
) -> "subprocess.Popen[bytes]":
    (folder / "key.pem").write_bytes(key)
    shutil.chown(folder / "key.pem", "opendkim")
    (folder / "key.pem").chmod(0o600)
    config = folder / "opendkim.conf"
    config.write_text(OPENDKIM_CONF.format(folder=folder, milter=milter, domain=domain))
    return subprocess.Popen(["opendkim", "-f", "-x", str(config)])


def _start_postfix(folder: Path, *, port: int, milter: int, sink: int) -> None:
    (folder / "main.cf").write_text(MAIN_CF.format(folder=folder, milter=milter, sink=sink))
    master = Path("/usr/share/postfix/master.cf.dist").read_text()
    lines = [line for line in master.splitlines() if not line.startswith("smtp      inet")]
    (folder / "master.cf").write_text(
        "\n".join([*lines, f"127.0.0.1:{port} inet n - n - - smtpd", ""])
    )
    for name in ("spool", "data"):
        (folder / name).mkdir()
    shutil.copy("/etc/postfix/dynamicmaps.cf", folder)
    for verb in ("set-permissions", "start"):
        done = subprocess.run(["postfix", "-c", str(folder), verb], capture_output=True, text=True)
        if verb == "start" and done.returncode:
            raise SystemExit(f"Postfix does not start: {done.stderr}")
