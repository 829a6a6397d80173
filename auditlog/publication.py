"""Publishing: a signed head that is kept for ever and told to whoever keeps a copy of it.

Only the sealer's side of the house runs this, as the role `worker`. What is published is given a
number under the sealer's lock, so a reader that remembers the last number misses none.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import orjson
from django.conf import settings
from django.db import connection, transaction

from auditlog import serializers
from auditlog.entries import rfc3339
from auditlog.models import Checkpoint, Reader
from queensmtp.errors import NotFound

PUBLISHED_EVERY = timedelta(hours=1)
# Any number will do that no other advisory lock uses.
SEALER_LOCK = 0x5EA1
WRITTEN_AT_ONCE = 1_000
FILE_READER = "file"

PUBLISH_DUE = """
WITH asked AS (
    DELETE FROM auditlog_publicationrequest RETURNING account_id
), due AS (
    UPDATE auditlog_head SET published_size = size, published_at = %(now)s::timestamptz
    WHERE size > published_size
        AND (published_at IS NULL OR published_at <= %(overdue)s::timestamptz
            OR account_id IN (SELECT account_id FROM asked))
    RETURNING account_id, size, root, note
)
INSERT INTO auditlog_checkpoint (account_id, size, root, note, published_at)
SELECT account_id, size, root, note, %(now)s::timestamptz FROM due
"""

PUBLISH_ONE = """
WITH due AS (
    UPDATE auditlog_head SET published_size = size, published_at = %(now)s::timestamptz
    WHERE size > published_size AND account_id = %(account_id)s
    RETURNING account_id, size, root, note
)
INSERT INTO auditlog_checkpoint (account_id, size, root, note, published_at)
SELECT account_id, size, root, note, %(now)s::timestamptz FROM due
"""

ASK = """
INSERT INTO auditlog_publicationrequest (account_id) VALUES (%s) ON CONFLICT DO NOTHING
"""


def publish_due(*, now: datetime) -> int:
    """Publish each head that was asked for, or whose account published last an hour ago."""
    with transaction.atomic():
        if not try_sealer_lock():
            return 0
        with connection.cursor() as cursor:
            cursor.execute(PUBLISH_DUE, {"now": now, "overdue": now - PUBLISHED_EVERY})
            return int(cursor.rowcount)


def publish(*, account_id: UUID, now: datetime) -> Checkpoint:
    """Publish an account's head at once, and return the newest published checkpoint.

    For an export: call it in a transaction of its own, since it holds the sealer back until then.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [SEALER_LOCK])
        cursor.execute(PUBLISH_ONE, {"now": now, "account_id": account_id})
        newest = Checkpoint.objects.of_account(account_id).order_by("size").last()
    if newest is None:
        raise NotFound("Nothing of this account is sealed yet.")
    return newest


def ask(*, account_id: UUID) -> None:
    """Ask the sealer to publish the account's next head: web processes cannot publish."""
    with connection.cursor() as cursor:
        cursor.execute(ASK, [account_id])


def try_sealer_lock() -> bool:
    """Take the lock of sealing and publishing until the transaction ends, if nobody has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SEALER_LOCK])
        return bool(cursor.fetchone()[0])


def write_file() -> int:
    """Append what was published to AUDIT_CHECKPOINTS_FILE; return how many lines were written.

    A line is on the disk before its number is remembered: a crash repeats lines and loses none.
    """
    if not settings.AUDIT_CHECKPOINTS_FILE:
        return 0
    with transaction.atomic():
        reader = find_reader(FILE_READER)
        if reader is None:
            return 0
        published = list(Checkpoint.objects.after(reader.number)[:WRITTEN_AT_ONCE])
        if published:
            _append(Path(settings.AUDIT_CHECKPOINTS_FILE), b"".join(map(_line, published)))
            read_up_to(reader, published[-1].number)
    return len(published)


def find_reader(name: str) -> Reader | None:
    """Return a reader, locked until the transaction ends, or None while another process has it."""
    Reader.objects.bulk_create([Reader(name=name)], ignore_conflicts=True)
    return Reader.objects.select_for_update(skip_locked=True).filter(name=name).first()


def read_up_to(reader: Reader, number: int) -> None:
    reader.number = number
    reader.save(update_fields=["number"])


def _line(published: Checkpoint) -> bytes:
    body = serializers.checkpoint_body(published) | {
        "published_at": rfc3339(published.published_at)
    }
    return orjson.dumps(body) + b"\n"


def _append(path: Path, lines: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    with os.fdopen(descriptor, "ab+") as file:
        if _ends_in_mid_line(descriptor):
            lines = b"\n" + lines
        file.write(lines)
        file.flush()
        os.fsync(descriptor)


def _ends_in_mid_line(descriptor: int) -> bool:
    """Whether a crash or a full disk cut the last write off."""
    size = os.fstat(descriptor).st_size
    return size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
