"""OpenSMTPD of Debian, on a port of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mtas.packages import unpacked
from tests.mtas.views import started
from tests.mtas.ways import Relay, Smarthost, wait_for

OFFERS_SMTPUTF8 = False

LISTEN = "listen on 127.0.0.1 port {port} hostname opensmtpd.example\n"
RELAY = """
action "returns" relay host smtp+notls://127.0.0.1:{returns}
action "out" relay host smtp+notls://127.0.0.1:{sink}
match from any for domain "{return_host}" action "returns"
match from any for any action "out"
"""
SMARTHOST = """
table secrets {{ ours = "queensmtp:{token}" }}
action "out" relay host {scheme}://ours@localhost:{submission} auth <secrets> tls
match from any for any action "out"
"""
PREPARE = (
    "mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd",
    "chmod 711 /var/spool/smtpd",
)


@contextmanager
def running(way: Relay | Smarthost, folder: Path) -> Iterator[int]:
    given, prepare = dict(vars(way)), list(PREPARE)
    if isinstance(way, Relay):
        text = LISTEN + RELAY
    else:
        text = LISTEN + SMARTHOST
        given["scheme"] = "smtps" if way.is_implicit_tls else "smtp+tls"
        # The one list of authorities that it was built to look at.
        prepare.append(f"mount --bind {way.ca_file} /etc/ssl/certs/ca-certificates.crt")
    config = folder / "smtpd.conf"
    config.write_text(text.format(**given))
    config.chmod(0o600)
    program = unpacked("opensmtpd") / "usr/sbin/smtpd"
    with started([str(program), "-d", "-f", str(config)], folder=folder, prepare=prepare):
        wait_for(way.port, folder=folder)
        yield way.port
