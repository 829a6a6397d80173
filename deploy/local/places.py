"""Where the embedded servers keep data, sockets and, if need be, copies of their programs."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.checkout import Checkout
from deploy.local.errors import LocalError
from deploy.local.server_user import ServerUser, owner_of, unprivileged

LONGEST_SOCKET_PATH = 107
POSTGRES_SOCKET = ".s.PGSQL.5432"
OUTSIDE = Path("/var/lib")


@dataclass(frozen=True)
class Places:
    user: ServerUser
    data: Path
    sockets: Path

    @property
    def postgres_data(self) -> Path:
        return self.data / "postgres"

    @property
    def valkey_data(self) -> Path:
        return self.data / "valkey"

    @property
    def programs(self) -> Path:
        return self.data / "programs"

    @property
    def valkey_socket(self) -> Path:
        return self.sockets / "valkey.sock"


def choose(checkout: Checkout, environ: Mapping[str, str]) -> Places:
    data, user = _data_and_user(checkout)
    return Places(user=user, data=data, sockets=socket_folder(checkout, user, environ))


def outside_folder(checkout: Checkout) -> Path:
    """Only used when root's checkout lies where the dropped user cannot reach."""
    return OUTSIDE / f"queensmtp-{checkout.fingerprint}"


def _data_and_user(checkout: Checkout) -> tuple[Path, ServerUser]:
    for folder in (checkout.var, outside_folder(checkout)):
        for name in ("postgres", "valkey"):
            if (folder / name).exists():
                return folder, owner_of(folder / name)
    user = unprivileged()
    if user.is_us or user.can_execute(checkout.var):
        return checkout.var, user
    return outside_folder(checkout), user


def socket_folder(checkout: Checkout, user: ServerUser, environ: Mapping[str, str]) -> Path:
    runtime = _runtime_folder(checkout, environ)
    if user.is_us and runtime and fits(runtime) and os.access(runtime.parent, os.W_OK | os.X_OK):
        return runtime
    return _temporary_folder(checkout, user.uid)


def possible_socket_folders(checkout: Checkout, environ: Mapping[str, str]) -> list[Path]:
    runtime = _runtime_folder(checkout, environ)
    users = {os.geteuid(), unprivileged().uid}
    return [
        *([runtime] if runtime else []),
        *(_temporary_folder(checkout, uid) for uid in users),
    ]


def _runtime_folder(checkout: Checkout, environ: Mapping[str, str]) -> Path | None:
    runtime = environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / f"queensmtp-{checkout.fingerprint}" if runtime else None


def _temporary_folder(checkout: Checkout, uid: int) -> Path:
    # In everybody's /tmp, hence made 0700 and checked to be ours before use.
    return Path("/tmp") / f"queensmtp-{checkout.fingerprint}-{uid}"


def fits(folder: Path) -> bool:
    return len(os.fsencode(folder / POSTGRES_SOCKET)) <= LONGEST_SOCKET_PATH


def make_folders(places: Places) -> None:
    if not places.data.exists():
        places.data.mkdir()
        places.data.chmod(0o755)
    _make_socket_folder(places)


def _make_socket_folder(places: Places) -> None:
    """Everybody may write in /tmp: take the folder only if it is really ours and closed."""
    folder = places.sockets
    if not folder.is_symlink() and not folder.exists():
        folder.mkdir(mode=0o700)
        if not places.user.is_us:
            os.chown(folder, places.user.uid, places.user.gid)
    found = folder.lstat()
    is_ours = stat.S_ISDIR(found.st_mode) and found.st_uid == places.user.uid
    if not is_ours or stat.S_IMODE(found.st_mode) & 0o077:
        raise LocalError(f"{folder} is not a closed folder of our own; remove it and start again")
