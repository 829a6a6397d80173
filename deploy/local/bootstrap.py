"""Make .venv and install the hashed lock. Runs on a bare python3: standard library only.

A clean Debian has no ensurepip, so the environment is made without pip and filled from outside
by `pip --python`. uv comes from the same hashed lock and installs the rest some five times as
fast; where it cannot (a proxy or an index that only pip is told about), pip does it all.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.local.checkout import ROOT
from deploy.local.errors import LocalError

OLDEST_PYTHON = (3, 11)
LOCK = ROOT / "requirements-dev.txt"
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
SYSTEM_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
STAMP = VENV / "installed.sha256"


def main() -> int:
    try:
        require_python()
        install_if_changed()
    except LocalError as error:
        print(f"make: {error}", file=sys.stderr)
        return 1
    return 0


def require_python() -> None:
    if sys.version_info < OLDEST_PYTHON:
        raise LocalError(
            f"QueenSMTP needs Python 3.11 or newer and {sys.executable} is "
            f"{sys.version.split()[0]}; name another: make PYTHON=python3.12 …"
        )


def install_if_changed() -> None:
    wanted = fingerprint_of_lock()
    if is_installed(wanted):
        return
    # Two terminals may type `make` at once: the second waits and then finds the work done.
    # The checkout's own folder is locked, so that no lock file has to lie around.
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        if not is_installed(wanted):
            make_environment()
            install()
            STAMP.write_text(wanted)
    finally:
        os.close(folder)


def fingerprint_of_lock() -> str:
    digest = hashlib.sha256(LOCK.read_bytes())
    digest.update(f"{sys.version_info[:2]} {ROOT}".encode())
    return digest.hexdigest()


def is_installed(wanted: str) -> bool:
    return VENV_PYTHON.exists() and STAMP.exists() and STAMP.read_text() == wanted


def make_environment() -> None:
    if VENV_PYTHON.exists() and minor_version_of(VENV_PYTHON) == minor_version_of(sys.executable):
        return
    print("Making .venv …", flush=True)
    run([sys.executable, "-m", "venv", "--without-pip", "--clear", str(VENV)], "make .venv")


def minor_version_of(python: str | Path) -> str:
    asked = [str(python), "-c", "import sys; print(*sys.version_info[:2])"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout


def install() -> None:
    require_pip()
    print("Installing the hashed packages of requirements-dev.txt …", flush=True)
    if not install_with_uv():
        print("uv could not; installing with pip …", flush=True)
        run(
            [*pip(), "install", "--require-hashes", "-r", str(LOCK)], "install requirements-dev.txt"
        )


def require_pip() -> None:
    found = subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True)
    if found.returncode:
        raise LocalError(f"{sys.executable} has no pip; install it: apt-get install python3-pip")


def pip() -> list[str]:
    quiet = ["--quiet", "--no-input", "--disable-pip-version-check"]
    return [sys.executable, "-m", "pip", "--python", str(VENV_PYTHON), *quiet]


def install_with_uv() -> bool:
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as only_uv:
        only_uv.write(requirement_of("uv", LOCK.read_text()))
        only_uv.flush()
        got_uv = succeeds([*pip(), "install", "--require-hashes", "--no-deps", "-r", only_uv.name])
    return got_uv and succeeds(
        [
            *(str(VENV / "bin" / "uv"), "pip", "sync", "--quiet", "--require-hashes"),
            *("--compile-bytecode", "--python", str(VENV_PYTHON), str(LOCK)),
        ]
    )


def requirement_of(name: str, lock: str) -> str:
    """The lines of one package, hashes included, from a compiled lock."""
    lines = lock.splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith(f"{name}=="))
    last = next(at for at in range(first, len(lines)) if not lines[at].endswith("\\"))
    return "\n".join(lines[first : last + 1]) + "\n"


def succeeds(command: list[str]) -> bool:
    return subprocess.run(command, env=environment(), check=False).returncode == 0


def run(command: list[str], purpose: str) -> None:
    if not succeeds(command):
        raise LocalError(f"could not {purpose}: see the lines above")


def environment() -> dict[str, str]:
    """uv is told of an index or a certificate that only pip's settings name."""
    env = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    if SYSTEM_CERTIFICATES.exists():  # They know the authority of a company's proxy.
        env.setdefault("UV_SYSTEM_CERTS", "true")
    for uv_name, pip_name in (
        ("UV_DEFAULT_INDEX", "PIP_INDEX_URL"),
        ("UV_INDEX", "PIP_EXTRA_INDEX_URL"),
        ("SSL_CERT_FILE", "PIP_CERT"),
    ):
        if pip_name in env:
            env.setdefault(uv_name, env[pip_name])
    return env


if __name__ == "__main__":
    raise SystemExit(main())
