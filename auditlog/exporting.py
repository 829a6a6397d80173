"""Exports of a log: asked for, written by a worker, handed out, and taken away when they expire."""

import hashlib
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from auditlog import (
    actions,
    checkpoints,
    export_files,
    export_lines,
    export_rows,
    filters,
    log_keys,
    paths,
    proofs,
    publication,
    witnessing,
)
from auditlog.audit import Event
from auditlog.entries import rfc3339
from auditlog.errors import TooManyExports
from auditlog.exported import UNFINISHED, Export, ExportQuerySet, Status
from auditlog.models import Checkpoint, Pending
from queensmtp import bell
from queensmtp.actors import Actor, Target, system_actor
from queensmtp.errors import NotFound
from queensmtp.ids import new_id

TASK = "auditlog.tasks.export_due"
UNFINISHED_MAX = 5
LEASE = timedelta(minutes=2)
# So many workers may die of one export before it is given up.
TRIES_MAX = 3
# An export waits until the entry that asks for it is sealed, so that it is in it, but no longer.
SEALED_WITHIN = timedelta(seconds=60)
# How often the page is told how far it is, and the worker whether it was canceled.
REPORTED_EVERY_SECONDS = 1.0
# How long the list still shows what an export was, after its file has gone.
REMEMBERED = timedelta(days=30)

logger = logging.getLogger(__name__)


class _Stopped(Exception):
    """It was canceled, or another worker has it now."""


@dataclass(frozen=True, slots=True)
class _Written:
    row_count: int
    byte_count: int
    sha256: str


# --- Asked for ---------------------------------------------------------------------------------


@transaction.atomic
def request(
    *, by: Actor, format: str, query: Mapping[str, Sequence[str]], with_proofs: bool = False
) -> Export:
    """Ask for an export of what the list finds with this query."""
    filters.read(query)
    account_id = by.tenant_id
    if Export.objects.unfinished().filter(account_id=account_id).count() >= UNFINISHED_MAX:
        raise TooManyExports
    id = new_id()
    entry_id = actions.record(
        by=by,
        event=Event.EXPORT_REQUESTED,
        target=_target(id),
        changes={"format": format, "proofs": with_proofs, "filters": _plain(query)},
    )
    export = Export.objects.create(
        id=id,
        account_id=account_id,
        format=format,
        filters=_plain(query),
        proofs=with_proofs,
        entry_id=entry_id,
        asked_by_type=by.type,
        asked_by_id=by.id,
        asked_by_label=by.label,
    )
    bell.ring(TASK, queue="records")
    return export


@transaction.atomic
def cancel(*, by: Actor, export: Export) -> bool:
    """Stop an export that is not finished; False when it is."""
    stopped = Export.objects.filter(pk=export.pk, status__in=UNFINISHED).update(
        status=Status.CANCELED, finished_at=timezone.now()
    )
    if stopped:
        actions.record(by=by, event=Event.EXPORT_CANCELED, target=_target(export.pk))
    return bool(stopped)


def get_file(export: Export, *, now: datetime) -> Path:
    """The finished file; NotFound says why there is none."""
    path = export_files.finished(export.account_id, export.pk, export.format)
    if export.has_file and not export.has_expired(now) and path.is_file():
        return path
    if export.status == Status.READY:
        raise NotFound("The file of this export has expired; ask for the export again.")
    raise NotFound(f"This export has no file: it is {export.status}.")


# --- Written -----------------------------------------------------------------------------------


def export_due() -> int:
    """Write every export that waits, one after the other; return how many were worked on."""
    done = 0
    while (export := _claim(now=timezone.now())) is not None:
        _export(export)
        done += 1
    return done


@transaction.atomic
def _claim(*, now: datetime) -> Export | None:
    export = (
        Export.objects.unfinished()
        .filter(due_at__lte=now)
        .exclude(
            Exists(Pending.objects.filter(entry_id=OuterRef("entry_id"))),
            Q(created_at__gt=now - SEALED_WITHIN),
        )
        .select_for_update(skip_locked=True)
        .order_by("due_at")
        .first()
    )
    if export is None:
        return None
    export.fence += 1
    export.status = Status.RUNNING
    export.due_at = now + LEASE
    export.started_at = export.started_at or now
    export.rows_done = 0
    export.save(update_fields=["fence", "status", "due_at", "started_at", "rows_done"])
    return export


def _export(export: Export) -> None:
    """Write one. What goes wrong for good is told; what a bug breaks is tried again, thrice."""
    if export.fence > TRIES_MAX:
        _fail(export, f"{TRIES_MAX} workers stopped in the middle of it.")
        return
    try:
        path = export_files.begun(export.account_id, export.pk, export.fence)
        _finish(export, path, _write(export, path))
    except _Stopped:
        export_files.remove_begun(export.account_id, export.pk, export.fence)
    except NotFound as error:
        _fail(export, error.message)
    except OSError as error:
        logger.exception("audit_export_not_written", extra={"export_id": str(export.pk)})
        _fail(export, f"The file could not be written: {error.strerror or 'the disk failed'}.")


def _write(export: Export, path: Path) -> _Written:
    read = filters.read(export.filters)
    checkpoint = publication.publish(account_id=export.account_id, now=timezone.now())
    witnessing.cosign_now(checkpoint)
    total = export_rows.count(export.account_id, read, size=checkpoint.size)
    _report(export, rows_total=total, tree_size=checkpoint.size)
    lines = export_lines.of_format(export.format, proofs=export.proofs)
    digest, row_count, byte_count, reported_at = hashlib.sha256(), 0, 0, 0.0
    with open(export_files.opened(path), "wb") as file:

        def add(data: bytes) -> int:
            digest.update(data)
            return file.write(data)

        byte_count += add(lines.begin(_header(export, checkpoint)))
        for rows in export_rows.stretches(export.account_id, read, size=checkpoint.size):
            byte_count += add(lines.rows(rows, _paths(export, rows, checkpoint.size)))
            row_count += len(rows)
            if time.monotonic() - reported_at > REPORTED_EVERY_SECONDS:
                _report(export, rows_done=row_count)
                reported_at = time.monotonic()
        byte_count += add(lines.end(row_count))
        file.flush()
        os.fsync(file.fileno())
    return _Written(row_count, byte_count, digest.hexdigest())


def _paths(export: Export, rows: list[export_rows.Record], size: int) -> paths.Paths | None:
    if not export.proofs:
        return None
    return paths.of_leaves(export.account_id, [row.leaf_index for row in rows], size=size)


def _header(export: Export, checkpoint: Checkpoint) -> dict[str, object]:
    name = checkpoints.origin_stated(checkpoint.note)
    return {
        "export_id": str(export.pk),
        "account_id": str(export.account_id),
        "created_at": rfc3339(timezone.now()),
        "format": export.format,
        "filters": export.filters,
        "proofs": export.proofs,
        "checkpoint": {
            "origin": name,
            "size": checkpoint.size,
            "root_hash": proofs.encoded(checkpoint.root),
            "note": proofs.cosigned_note(checkpoint),
        },
        "public_keys": [checkpoints.verifier_key(name, key) for key in log_keys.public_keys()],
    }


def _report(export: Export, **values: object) -> None:
    """Tell how far it is, and hold on to it; _Stopped when it is ours no longer."""
    due_at = timezone.now() + LEASE
    if not _ours(export).update(due_at=due_at, **values):
        raise _Stopped


@transaction.atomic
def _finish(export: Export, path: Path, written: _Written) -> None:
    now = timezone.now()
    ours = _ours(export).update(
        status=Status.READY,
        finished_at=now,
        rows_done=written.row_count,
        rows_total=written.row_count,
        byte_count=written.byte_count,
        sha256=written.sha256,
        expires_at=now + timedelta(days=settings.AUDIT_EXPORT_DAYS),
    )
    if not ours:
        raise _Stopped
    actions.record(
        by=_by_us(export),
        event=Event.EXPORT_FINISHED,
        target=_target(export.pk),
        changes={"rows": written.row_count, "sha256": written.sha256},
    )
    # Before the commit: a row that says ready has its file.
    path.rename(export_files.finished(export.account_id, export.pk, export.format))


@transaction.atomic
def _fail(export: Export, problem: str) -> None:
    failed = _ours(export).update(status=Status.FAILED, finished_at=timezone.now(), problem=problem)
    if failed:
        actions.record(
            by=_by_us(export),
            event=Event.EXPORT_FAILED,
            target=_target(export.pk),
            outcome="failed",
            changes={"reason": problem},
        )
        export_files.remove(export.account_id, export.pk)


# --- Taken away --------------------------------------------------------------------------------


def expire(*, now: datetime) -> int:
    """Remove files that expired and broken tries of what was stopped; return how many expired."""
    gone = 0
    for export in Export.objects.with_file().filter(expires_at__lte=now):
        gone += _expire(export, now=now)
    for export in Export.objects.filter(
        status__in=[Status.CANCELED, Status.FAILED], finished_at__gt=now - timedelta(days=1)
    ):
        export_files.remove(export.account_id, export.pk)
    Export.objects.filter(finished_at__lt=now - REMEMBERED).exclude(
        status=Status.READY, removed_at=None
    ).delete()
    return gone


@transaction.atomic
def _expire(export: Export, *, now: datetime) -> int:
    mine = Export.objects.filter(pk=export.pk, removed_at=None).update(removed_at=now)
    if mine:
        export_files.remove(export.account_id, export.pk)
        actions.record(by=_by_us(export), event=Event.EXPORT_EXPIRED, target=_target(export.pk))
    return mine


def _ours(export: Export) -> ExportQuerySet:
    return Export.objects.filter(pk=export.pk, fence=export.fence, status=Status.RUNNING)


def _by_us(export: Export) -> Actor:
    return system_actor(export.account_id, "exports")


def _target(export_id: UUID) -> Target:
    return Target("audit_export", str(export_id))


def _plain(query: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    return {name: list(values) for name, values in query.items()}
