"""The secrets of one checkout: made once, 0600, never shown, never written over."""

import base64
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from deploy.local.errors import LocalError

AUDIT_SIGNING_KEY = "audit_signing_key"


def ensure(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    make_once(folder / "secret_key", secrets.token_urlsafe(50))
    make_once(folder / "key_peppers", f"1:{random_key()}")
    make_once(folder / "encryption_keys", f"1:{random_key()}")
    make_once(folder / "link_keys", f"1:{random_key()}")
    make_once(folder / "metrics_token", secrets.token_urlsafe(32))
    make_once(folder / AUDIT_SIGNING_KEY, random_key())


def random_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def make_once(path: Path, value: str) -> None:
    """An existing file is left alone even when it is damaged: data may be sealed with it."""
    if path.exists():
        if not path.read_text().strip():
            raise LocalError(f"{path} is empty: put the old secret back, or `make reset`")
        return
    write_private(path, value.encode() + b"\n")


def write_private(path: Path, content: bytes) -> None:
    """The file appears under its name only when it is whole, and is never readable by others."""
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)


def audit_public_key(folder: Path) -> str:
    seed = base64.b64decode((folder / AUDIT_SIGNING_KEY).read_text())
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return base64.b64encode(public.public_bytes_raw()).decode()
