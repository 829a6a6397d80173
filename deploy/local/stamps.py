"""What was prepared in an earlier run and has not changed since, so that it need not be again."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from deploy.local.checkout import Checkout


@dataclass(frozen=True)
class Stamp:
    """The fingerprint of what a step worked on, kept beside its result."""

    path: Path
    wanted: str

    def is_current(self) -> bool:
        return self.path.exists() and self.path.read_text() == self.wanted

    def write(self) -> None:
        self.path.write_text(self.wanted)


def of_static_files(checkout: Checkout) -> Stamp:
    ours = sorted(path for path in (checkout.root / "static").rglob("*") if path.is_file())
    return Stamp(checkout.var / "static.sha256", _digest([_lock(checkout), *ours]))


def of_migrations(checkout: Checkout, cluster: Path | None) -> Stamp:
    """Of this very cluster: one that was made anew has another PG_VERSION file.

    A database that we did not make may have been changed by others: it has no stamp to trust.
    """
    stamp = checkout.var / "migrated.sha256"
    if cluster is None:
        stamp.unlink(missing_ok=True)
        return Stamp(stamp, "")
    made = (cluster / "PG_VERSION").stat()
    files = sorted(checkout.root.glob("*/migrations/*.py"))
    digest = _digest([_lock(checkout), *files])
    return Stamp(stamp, f"{digest} {made.st_ino} {made.st_mtime_ns}")


def _lock(checkout: Checkout) -> Path:
    """It stands for what the packages bring along."""
    return checkout.root / "requirements-dev.txt"


def _digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path} {len(content)}\n".encode() + content)
    return digest.hexdigest()
