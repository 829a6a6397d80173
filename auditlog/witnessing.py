"""Asking a witness to cosign what we published: C2SP ``tlog-witness``, from the log's side.

The witness keeps its own memory of each log. When it holds a checkpoint that ours does not
continue, the account is disputed: the sealer signs nothing more for it until somebody has looked.
"""

import logging
import threading
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime
from enum import Enum, auto
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from auditlog import actions, merkle, stored_tree
from auditlog.checkpoints import BadCheckpoint
from auditlog.cosignatures import WitnessKey
from auditlog.errors import HistoryChanged
from auditlog.log_keys import find_witness
from auditlog.models import Checkpoint, Dispute, Head
from queensmtp import outbound
from queensmtp.errors import DeliveryFailure

AT_ONCE = 100
SECONDS = 10.0
TREE_SIZE = "text/x.tlog.size"

logger = logging.getLogger(__name__)

# The newest published checkpoint of each account that this witness has not cosigned.
DUE = """
SELECT c.account_id, c.size, c.note
FROM auditlog_head h
JOIN auditlog_checkpoint c ON c.account_id = h.account_id AND c.size = h.published_size
WHERE NOT EXISTS (
        SELECT FROM auditlog_cosignature s
        WHERE s.account_id = c.account_id AND s.size >= c.size AND s.witness = %s
    )
    AND NOT EXISTS (SELECT FROM auditlog_dispute d WHERE d.account_id = c.account_id)
ORDER BY c.number LIMIT %s
"""

COSIGNED_SIZE = "SELECT max(size) FROM auditlog_cosignature WHERE account_id = %s AND witness = %s"

KEEP = """
INSERT INTO auditlog_cosignature (account_id, size, witness, line, cosigned_at)
VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


class Outcome(Enum):
    COSIGNED = auto()
    DISPUTED = auto()
    # It answered, but in no way that says anything about the log.
    LATER = auto()
    UNREACHED = auto()


def cosign_due(*, now: datetime) -> int:
    """Have what was published cosigned; return how many cosignatures came."""
    witness = find_witness()
    if witness is None:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(DUE, [witness.name, AT_ONCE])
        due = cursor.fetchall()
    done = 0
    for account_id, size, note in due:
        outcome = submit(witness, account_id=account_id, size=size, note=note, now=now)
        if outcome is Outcome.UNREACHED:
            break
        done += outcome is Outcome.COSIGNED
    return done


def cosign_now(checkpoint: Checkpoint) -> None:
    """Have one checkpoint cosigned, if there is a witness and it answers: for an export."""
    witness = find_witness()
    if witness is not None:
        submit(
            witness,
            account_id=checkpoint.account_id,
            size=checkpoint.size,
            note=checkpoint.note,
            now=timezone.now(),
        )


def submit(
    witness: WitnessKey, *, account_id: UUID, size: int, note: str, now: datetime
) -> Outcome:
    """Submit a checkpoint; a log that is broken inside is told of, and holds no other back."""
    try:
        return _submit(witness, account_id, size, note, now)
    except HistoryChanged:
        logger.critical("audit_log_changed", extra={"account_ids": [str(account_id)]})
        return Outcome.LATER


def _submit(witness: WitnessKey, account_id: UUID, size: int, note: str, now: datetime) -> Outcome:
    """Submit from what this witness cosigned last, or by its own word from what it has seen."""
    old = min(_cosigned_size(witness, account_id), size)
    answer = _ask(account_id, old=old, size=size, note=note)
    seen = _size_seen(answer)
    if seen is not None and old != seen <= size:
        answer = _ask(account_id, old=seen, size=size, note=note)
        seen = _size_seen(answer)
    if answer is None:
        return Outcome.UNREACHED
    if seen is not None and seen > size:
        return _judge_newer(account_id, seen, now)
    if answer.status == 422 or (answer.status == 409 and seen is None):
        return _dispute(account_id, "the witness holds another history of this log", now)
    if answer.status != 200:
        logger.error("witness_refused", extra={"status": answer.status, "account": str(account_id)})
        return Outcome.LATER
    return _keep(witness, account_id, size, note, answer.body.decode(errors="replace"), now)


def _cosigned_size(witness: WitnessKey, account_id: UUID) -> int:
    with connection.cursor() as cursor:
        cursor.execute(COSIGNED_SIZE, [account_id, witness.name])
        return cursor.fetchone()[0] or 0


def _ask(account_id: UUID, *, old: int, size: int, note: str) -> outbound.Response | None:
    ranges = merkle.consistency_ranges(old, size)
    proof = stored_tree.hashes_of(account_id, size, ranges)
    request = outbound.Request(
        url=settings.AUDIT_WITNESS_URL.rstrip("/") + "/add-checkpoint",
        headers={"Content-Type": "text/plain; charset=utf-8"},
        body=submission(old, proof, note),
        timeout=SECONDS,
    )
    try:
        return outbound.send(request)
    except DeliveryFailure as failure:
        logger.warning("witness_not_reached", extra={"reason": str(failure)})
        return None


def submission(old: int, proof: Sequence[bytes], note: str) -> bytes:
    """Return the body of ``add-checkpoint``."""
    lines = [f"old {old}", *(b64encode(each).decode() for each in proof)]
    return ("\n".join(lines) + "\n\n" + note).encode()


def _size_seen(answer: outbound.Response | None) -> int | None:
    """Return the size that the witness says it saw last, when that is its answer."""
    if answer is None or answer.status != 409:
        return None
    text = answer.body.decode(errors="replace").removesuffix("\n")
    is_size = answer.headers.get("content-type", "").startswith(TREE_SIZE)
    return int(text) if is_size and text.isascii() and text.isdigit() and len(text) < 20 else None


def _judge_newer(account_id: UUID, seen: int, now: datetime) -> Outcome:
    """Either another process of ours was quicker, or our log was put back."""
    head = Head.objects.filter(account_id=account_id).first()
    if head is not None and head.size >= seen:
        return Outcome.LATER
    left = head.size if head else 0
    return _dispute(account_id, f"the witness saw {seen} leaves, and {left} are left", now)


@transaction.atomic
def _dispute(account_id: UUID, reason: str, now: datetime) -> Outcome:
    logger.critical("audit_log_disputed", extra={"account": str(account_id), "reason": reason})
    _, is_new = Dispute.objects.get_or_create(
        account_id=account_id, defaults={"reason": reason, "found_at": now}
    )
    if is_new:
        actions.raise_alarm(account_id=account_id, reason=reason, found_by="witness")
    return Outcome.DISPUTED


def _keep(
    witness: WitnessKey, account_id: UUID, size: int, note: str, body: str, now: datetime
) -> Outcome:
    try:
        line = witness.find_line(note, body)
    except BadCheckpoint as error:
        logger.error("witness_answered_wrongly", extra={"reason": str(error)})
        return Outcome.LATER
    if line is None:
        logger.error("witness_answered_wrongly", extra={"reason": "it signed by another key"})
        return Outcome.LATER
    with connection.cursor() as cursor:
        cursor.execute(KEEP, [account_id, size, witness.name, line, now])
    return Outcome.COSIGNED


# --- When the sealer starts ----------------------------------------------------------------------


class _Start:
    """Whether this process has asked the witness about every log."""

    lock = threading.Lock()
    is_done = False


def confirm_once(*, now: datetime) -> None:
    """Before the first seal of a process, show every head to the witness.

    A database that was put back is found here, before anything is signed for it. A witness that
    cannot be reached holds nothing up: the next published checkpoint will tell.
    """
    with _Start.lock:
        if not _Start.is_done:
            confirm_heads(now=now)
            _Start.is_done = True


def confirm_heads(*, now: datetime) -> None:
    witness = find_witness()
    if witness is None:
        return
    heads = Head.objects.order_by("account_id").values_list("account_id", "size", "note")
    for account_id, size, note in list(heads):
        outcome = submit(witness, account_id=account_id, size=size, note=note, now=now)
        if outcome is Outcome.UNREACHED:
            return
