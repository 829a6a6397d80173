"""The local inbox: a Maildir behind an honest SMTP server, where the demo's mail arrives.

Each recipient gets a copy of the message. What arrived is not touched: the trace headers that a
delivery adds (RFC 5321 4.4) stand above it, so the DKIM signature still verifies.
"""

import asyncio
import itertools
import os
import socket
import time
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from sending.mailrooms import Client, Envelope, LoggedIn

FOLDERS = ("tmp", "new", "cur")


class Maildir:
    """https://cr.yp.to/proto/maildir.html: written in tmp, synced, then renamed into new."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._count = itertools.count()
        self._host = socket.gethostname().replace("/", "_").replace(":", "_")
        for name in FOLDERS:
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    def store(self, message: bytes) -> Path:
        """The file that holds the message, on disk when this returns."""
        name = f"{time.time_ns() // 1_000}.P{os.getpid()}Q{next(self._count)}.{self._host}"
        waiting, arrived = self.folder / "tmp" / name, self.folder / "new" / name
        handle = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(message)
            file.flush()
            os.fsync(file.fileno())
        waiting.rename(arrived)
        _sync_folder(arrived.parent)
        return arrived


class InboxMailroom:
    """Takes mail for anybody from anybody who can reach it, which is this machine."""

    needs_login = False

    def __init__(self, maildir: Maildir, *, name: str) -> None:
        self.maildir = maildir
        self.name = name

    async def log_in(self, user: str, password: str, client: Client) -> LoggedIn | str:
        return "502 5.5.1 Nobody logs in here"

    async def refuse_sender(self, envelope: Envelope, client: Client) -> str | None:
        return None

    async def refuse_recipient(
        self, address: str, envelope: Envelope, client: Client
    ) -> str | None:
        local, _, domain = address.rpartition("@")
        return None if local and domain else "550 5.1.1 No such mailbox"

    async def take(self, envelope: Envelope, content: bytes, client: Client) -> str:
        names = await asyncio.to_thread(self._store, envelope, content, client)
        return f"250 2.0.0 Stored as {names[0]}"

    def _store(self, envelope: Envelope, content: bytes, client: Client) -> list[str]:
        now = datetime.now(UTC)
        return [
            self.maildir.store(
                trace(envelope, recipient, client, by=self.name, at=now) + content
            ).name
            for recipient in envelope.recipients
        ]


def trace(envelope: Envelope, recipient: str, client: Client, *, by: str, at: datetime) -> bytes:
    """Return-Path, Delivered-To and Received, as the final delivery puts them on top."""
    protocol = "ESMTPS" if client.tls_version else "ESMTP"
    secured = f" ({client.tls_version} {client.tls_cipher})" if client.tls_version else ""
    lines = [
        f"Return-Path: <{envelope.sender}>",
        f"Delivered-To: {recipient}",
        f"Received: from {client.helo} ([{client.address}])",
        f"\tby {by} with {protocol}{secured}",
        f"\tfor <{recipient}>; {format_datetime(at)}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _sync_folder(folder: Path) -> None:
    """The name itself is only safe once the folder is on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
