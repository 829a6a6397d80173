"""python -m deploy.tls_scan: testssl.sh in front of every port that takes TLS.

A clean clone runs `make up`, and Debian's testssl.sh tries protocols, ciphers, forward secrecy,
renegotiation, compression and the known attacks on each. Nothing above LOW may be found, and what
must have been tried must have been.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local import system_packages
from deploy.local.errors import LocalError
from deploy.smoke.__main__ import read_demo_env, running
from deploy.smoke.clone import clean_clone

UP_SECONDS = 180.0
SCAN_SECONDS = 900.0
# From the base of the ports: what the port is, and the way to TLS.
PORTS = {
    443: ("HTTPS", ()),
    465: ("SMTP, implicit TLS", ()),
    587: ("SMTP, STARTTLS", ("-t", "smtp")),
    26: ("bounces, STARTTLS", ("-t", "smtp")),
}
HARMLESS = ("OK", "INFO", "LOW", "DEBUG", "WARN")
# Of the local authority, which revokes nothing.
OF_THE_DEMO = frozenset({"cert_revocation"})
NOT_OFFERED = (
    *("SSLv2", "SSLv3", "TLS1", "TLS1_1", "cipherlist_NULL", "cipherlist_aNULL"),
    *("cipherlist_EXPORT", "cipherlist_LOW", "cipherlist_3DES_IDEA", "cipherlist_AVERAGE"),
)
# No verdict on one of these is as bad as a wrong one.
TRIED = (
    *("TLS1_2", "TLS1_3", "PFS", "secure_renego", "secure_client_renego", "CRIME_TLS"),
    *("heartbleed", "CCS", "ROBOT", "SWEET32", "FREAK", "DROWN", "LOGJAM", "BEAST", "RC4"),
    *("cert_trust", "cert_chain_of_trust"),
)


@dataclass(frozen=True)
class Finding:
    id: str
    severity: str
    words: str


def main() -> int:
    if not system_packages.has("testssl"):
        system_packages.install("testssl.sh", purpose="the scan of our TLS")
    with clean_clone(user=None) as clone, running(clone, "start", within=UP_SECONDS):
        demo = read_demo_env(clone)
        base = int(demo["QUEENSMTP_SMTP_TLS_PORT"]) - 465
        with ThreadPoolExecutor(len(PORTS)) as executor:
            scans = {
                offset: executor.submit(scan, base + offset, way, ca_file=demo["QUEENSMTP_CA"])
                for offset, (_, way) in PORTS.items()
            }
        return tell({offset: one.result() for offset, one in scans.items()}, base)


def scan(port: int, way: Sequence[str], *, ca_file: str) -> list[Finding]:
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "findings.json"
        command = [
            *("testssl", "--quiet", "--color", "0", "--warnings", "batch"),
            *("-n", "none", "--ip", "127.0.0.1", "--add-ca", ca_file, "--jsonfile", str(told)),
            *(*way, "-p", "-s", "-f", "-U", "-S", f"localhost:{port}"),
        ]
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SCAN_SECONDS
        )
        if not told.exists():
            raise LocalError(f"testssl.sh says nothing of port {port}:\n{done.stdout[-2_000:]}")
        found: list[dict[str, Any]] = json.loads(told.read_text())
    return [Finding(one["id"], one["severity"], one["finding"]) for one in found]


def tell(scans: dict[int, list[Finding]], base: int) -> int:
    """A line for each port, then what does not hold; the exit code."""
    print(f"\n{'port':>6}  {'what':<20} {'TLS':<10} {'tried':>5} {'LOW':>4}  verdict")
    wrong = {offset: list(wrong_with(found)) for offset, found in scans.items()}
    for offset, found in scans.items():
        versions = [one.id for one in found if one.id.startswith("TLS1") and is_offered(one)]
        shown = "+".join(one.removeprefix("TLS").replace("_", ".") for one in versions)
        low = sum(one.severity == "LOW" for one in found)
        verdict = "does not hold" if wrong[offset] else "holds"
        what = PORTS[offset][0]
        print(f"{base + offset:>6}  {what:<20} {shown:<10} {len(found):>5} {low:>4}  {verdict}")
    for offset, problems in wrong.items():
        for problem in problems:
            print(f"tls-scan: FAILED: port {base + offset}: {problem}", file=sys.stderr)
    return 1 if any(wrong.values()) else 0


def wrong_with(found: Sequence[Finding]) -> list[str]:
    by_id = {one.id: one for one in found}
    missing = [one for one in (*NOT_OFFERED, *TRIED) if one not in by_id]
    wrong = [f"{one} was not tried" for one in missing]
    for one in found:
        is_needed = one.id in NOT_OFFERED or one.id in TRIED
        if one.severity not in HARMLESS and one.id not in OF_THE_DEMO:
            wrong.append(f"{one.id} is {one.severity}: {one.words}")
        elif is_needed and one.severity == "WARN":
            wrong.append(f"{one.id} was not tried: {one.words}")
        elif one.id in NOT_OFFERED and is_offered(one):
            wrong.append(f"{one.id} is offered")
    return wrong


def is_offered(one: Finding) -> bool:
    return one.words.startswith("offered")


if __name__ == "__main__":
    raise SystemExit(main())
