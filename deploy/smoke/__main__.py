"""python -m deploy.smoke: `make up` from a clean clone of HEAD, seen from outside.

Every claim of the design about running it that can be checked from outside is checked here:
the first message arrives, what listens is on the list, nothing answers without TLS, a second
run says so and is quick, and nothing is left behind.
"""

import argparse
import json
import signal
import ssl
import stat
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from email.parser import BytesParser
from pathlib import Path

from deploy.local import process_table
from deploy.local.children import MARK
from deploy.local.logs import last_lines
from deploy.local.places import outside_folder, possible_socket_folders
from deploy.local.ports import is_taken
from deploy.local.up import LAST_LINE, read_exports
from deploy.smoke import probes
from deploy.smoke.clone import Clone, clean_clone
from deploy.smoke.listeners import Listener, listeners_of

FIRST_RUN_SECONDS = 90.0
SECOND_RUN_SECONDS = 15.0
DELIVERY_SECONDS = 5.0
STOP_SECONDS = 30.0
MAKE_FAILED = 2


class SmokeFailed(Exception):
    """One claim does not hold; the message says which."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--user", help="run as this user (root only); it need not own anything")
    parser.add_argument(
        "--patience", type=float, default=1.0, help="times longer on a busy machine"
    )
    given = parser.parse_args()
    try:
        with clean_clone(user=given.user) as clone, logs_shown_on_failure(clone):
            look_at(clone, patience=given.patience)
    except SmokeFailed as failure:
        print(f"smoke: FAILED: {failure}", file=sys.stderr)
        return 1
    print("smoke: all of it holds", flush=True)
    return 0


@contextmanager
def logs_shown_on_failure(clone: Clone) -> Iterator[None]:
    """The clone and its logs are gone when somebody reads what CI printed."""
    try:
        yield
    except SmokeFailed:
        for log in sorted(clone.checkout.logs.glob("*.log")):
            told(f"the end of {log.name}:")
            print("".join(f"    {line}\n" for line in last_lines(log, 8)), flush=True)
        raise


def look_at(clone: Clone, *, patience: float) -> None:
    with running(clone, "first run", within=FIRST_RUN_SECONDS * patience):
        demo = read_demo_env(clone)
        expect_delivery(demo)
        expect_listeners_on_the_list(clone)
        expect_tls_everywhere(clone)
        expect(clone, "up", says="is running already", code=MAKE_FAILED)
    with running(clone, "second run", within=SECOND_RUN_SECONDS * patience):
        expect(clone, "down", says="stopped `make up`")
    expect(clone, "reset", says="removed")
    if clone.checkout.var.exists() or outside_folder(clone.checkout).exists():
        raise SmokeFailed("`make reset` left data behind")


@contextmanager
def running(clone: Clone, what: str, *, within: float) -> Iterator[None]:
    """`make up` until its greeting; afterwards SIGTERM, and nothing may be left."""
    began = time.monotonic()
    popen = clone.popen("up")
    try:
        wait_for_greeting(popen)
        seconds = time.monotonic() - began
        told(f"{what}: up in {seconds:.1f} s")
        if seconds > within:
            raise SmokeFailed(f"the {what} took {seconds:.0f} s, more than {within:.0f}")
        yield
    finally:
        popen.send_signal(signal.SIGTERM)
        try:
            popen.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            popen.kill()
            raise SmokeFailed("it did not stop on SIGTERM") from None
    expect_nothing_left(clone)


def wait_for_greeting(popen: "subprocess.Popen[str]") -> None:
    assert popen.stdout is not None
    lines: list[str] = []
    for line in popen.stdout:
        lines.append(line)
        print(f"    {line}", end="", flush=True)
        if line.startswith(LAST_LINE):
            break
    text = "".join(lines)
    if LAST_LINE not in text:
        raise SmokeFailed("`make up` ended by itself")
    for bad in ("did not arrive", "starting it again", "nothing answers yet"):
        if bad in text:
            raise SmokeFailed(f"`make up` said {bad!r}")


def read_demo_env(clone: Clone) -> dict[str, str]:
    path = clone.checkout.demo_env
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode != 0o600:
        raise SmokeFailed(f"var/demo.env has mode {mode:o}")
    return read_exports(path)


def expect_delivery(demo: dict[str, str]) -> None:
    """The newcomer's own message: accepted over verified TLS, and whole in the inbox."""
    subject = f"Smoke {time.time_ns()}"
    message = {
        "from": demo["QUEENSMTP_FROM"],
        "to": "someone@example.com",
        "subject": subject,
        "text": "Hi",
    }
    request = urllib.request.Request(
        f"{demo['QUEENSMTP_URL']}/emails",
        data=json.dumps(message).encode(),
        headers={
            "Authorization": f"Bearer {demo['QUEENSMTP_API_KEY']}",
            "Content-Type": "application/json",
        },
    )
    trusted = ssl.create_default_context(cafile=demo["QUEENSMTP_CA"])
    began = time.monotonic()
    with urllib.request.urlopen(request, context=trusted, timeout=10) as answer:
        identifier = json.load(answer)["id"]
    while not has_arrived(Path(demo["QUEENSMTP_INBOX_DIR"]), subject):
        if time.monotonic() - began > DELIVERY_SECONDS:
            raise SmokeFailed(f"message {identifier} is not in the inbox")
        time.sleep(0.05)
    told(f"message {identifier} is in the inbox after {time.monotonic() - began:.2f} s")


def has_arrived(inbox: Path, subject: str) -> bool:
    for path in (*inbox.glob("new/*"), *inbox.glob("cur/*")):
        message = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
        if message["Subject"] == subject:
            return message["DKIM-Signature"] is not None
    return False


def expect_listeners_on_the_list(clone: Clone) -> None:
    allowed = {port.number for port in clone.ports.all()}
    found = listeners_of(process_table.started_with(MARK, clone.checkout.fingerprint))
    stray = [one for one in found if one.port not in allowed and not is_asking_dns(one)]
    if stray or not all(one.is_loopback for one in found):
        raise SmokeFailed(f"these listen and are not on the list: {stray or found}")
    told(f"listening: {', '.join(f'{one.kind} {one.port}' for one in found)}")


def is_asking_dns(one: Listener) -> bool:
    """A resolver's socket on a passing port waits for one answer; it is no service."""
    return one.kind == "udp" and one.port >= 32768


def expect_tls_everywhere(clone: Clone) -> None:
    ports, old = clone.ports, ssl.TLSVersion.TLSv1_1
    listening = {
        one.port
        for one in listeners_of(process_table.started_with(MARK, clone.checkout.fingerprint))
        if one.kind == "tcp"
    }
    for number in sorted(listening):
        if probes.answers_plain_http(number):
            raise SmokeFailed(f"port {number} answers plain HTTP")
    for number in {ports.https.number, ports.smtp_tls.number, ports.receiver.number} & listening:
        if probes.accepts_tls(number, version=old):
            raise SmokeFailed(f"port {number} accepts TLS 1.1")
        if not probes.accepts_tls(number, version=ssl.TLSVersion.TLSv1_2):
            raise SmokeFailed(f"port {number} refuses TLS 1.2")
    for number in {ports.inbox.number, ports.smtp_starttls.number} & listening:
        if probes.accepts_starttls(number, version=old):
            raise SmokeFailed(f"port {number} accepts TLS 1.1 after STARTTLS")
        if not probes.accepts_starttls(number, version=ssl.TLSVersion.TLSv1_2):
            raise SmokeFailed(f"port {number} refuses TLS 1.2 after STARTTLS")
    told("TLS 1.1 and plain HTTP are refused on every port")


def expect(clone: Clone, target: str, *, says: str, code: int = 0) -> None:
    found, output = clone.make(target)
    if says not in output or found != code:
        raise SmokeFailed(f"`make {target}` ended with {found} and said: {output}")


def expect_nothing_left(clone: Clone) -> None:
    left = process_table.started_with(MARK, clone.checkout.fingerprint)
    if left:
        commands = [" ".join(process_table.arguments(pid)) for pid in left]
        raise SmokeFailed(f"these still run after SIGTERM: {commands}")
    taken = [port.number for port in clone.ports.all() if is_taken(port)]
    if taken:
        raise SmokeFailed(f"these ports are still taken after SIGTERM: {taken}")
    folders = possible_socket_folders(clone.checkout, clone.env)
    if any(folder.exists() for folder in folders):
        raise SmokeFailed(f"one of these is still there after SIGTERM: {folders}")
    told("stopped; nothing is left behind")


def told(line: str) -> None:
    print(f"smoke: {line}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
