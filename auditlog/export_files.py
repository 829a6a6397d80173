"""Where exports lie: a folder for each account, which only this platform's user may enter.

The folder is shared by the processes that write exports and those that hand them out
(`AUDIT_EXPORT_DIR`).
"""

import os
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from django.conf import settings


def finished(account_id: UUID, export_id: UUID, format: str) -> Path:
    return _folder(account_id) / f"{export_id}.{format}"


def begun(account_id: UUID, export_id: UUID, fence: int) -> Path:
    """The file of one try; the next try begins another, so that two never write into one."""
    path = _begun(account_id, export_id, fence)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def remove_begun(account_id: UUID, export_id: UUID, fence: int) -> None:
    _begun(account_id, export_id, fence).unlink(missing_ok=True)


def opened(path: Path) -> int:
    """Open a new file for writing, for our eyes only, and return its descriptor."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


def remove(account_id: UUID, export_id: UUID) -> None:
    """Take away everything of an export: its file, and what broken tries left."""
    for path in _folder(account_id).glob(f"{export_id}.*"):
        with suppress(FileNotFoundError):
            path.unlink()


def _begun(account_id: UUID, export_id: UUID, fence: int) -> Path:
    return _folder(account_id) / f"{export_id}.{fence}.part"


def _folder(account_id: UUID) -> Path:
    return Path(settings.AUDIT_EXPORT_DIR) / str(account_id)
