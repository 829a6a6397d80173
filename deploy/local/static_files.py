"""Whether the console's static files must be gathered again: only when something changed."""

import hashlib
from pathlib import Path

from deploy.local.checkout import Checkout


def have_changed(checkout: Checkout) -> bool:
    stamp = _stamp(checkout)
    return not stamp.exists() or stamp.read_text() != _fingerprint(checkout)


def note_collected(checkout: Checkout) -> None:
    _stamp(checkout).write_text(_fingerprint(checkout))


def _stamp(checkout: Checkout) -> Path:
    return checkout.var / "static.sha256"


def _fingerprint(checkout: Checkout) -> str:
    """Sizes and times of our own files; the lock stands for those of the packages."""
    digest = hashlib.sha256((checkout.root / "requirements-dev.txt").read_bytes())
    for path in sorted((checkout.root / "static").rglob("*")):
        found = path.stat()
        digest.update(f"{path} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()
