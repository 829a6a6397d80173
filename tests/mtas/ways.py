"""Where a mail server of these checks takes mail, and where it hands it on."""

import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 15


@dataclass(frozen=True)
class Relay:
    """All mail goes to a sink, but for what comes back to us."""

    port: int
    sink: int
    returns: int
    return_host: str


@dataclass(frozen=True)
class Smarthost:
    """All mail goes to our submission port, under TLS that must be verified, with our key."""

    port: int
    submission: int
    is_implicit_tls: bool
    token: str
    ca_file: Path


@contextmanager
def room() -> Iterator[Path]:
    """A folder that other users reach, unlike pytest's own. What was written there is told."""
    with tempfile.TemporaryDirectory(prefix="queensmtp-mta-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            yield folder
        finally:
            print(written_in(folder))


def written_in(folder: Path) -> str:
    logs = [folder / "output", folder / "mail.log", *folder.glob("spool/log-*")]
    return "\n".join(one.read_text(errors="replace") for one in logs if one.exists())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def wait_for(port: int, *, folder: Path) -> None:
    """Until it greets; else with what it wrote."""
    ends_at = time.monotonic() + START_SECONDS
    while time.monotonic() < ends_at:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as client:
                if client.recv(3) == b"220":
                    return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"The mail server does not greet: {written_in(folder)}")
