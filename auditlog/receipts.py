"""Receipts: one entry, its proof and a published checkpoint in one text that stands alone.

The form is C2SP ``tlog-proof``, with the entry as its extra data. Years later the text and the
public key are enough; neither the entry nor the platform need exist any more.
"""

from base64 import b64encode
from datetime import timedelta
from uuid import UUID

from django.http import HttpResponse
from django.utils import timezone

from auditlog import canonical, log_keys, proofs, publication, serializers
from auditlog.models import Checkpoint, Cosignature, Entry, Leaf

FIRST_LINE = "c2sp.org/tlog-proof@v1"
CONTENT_TYPE = "text/plain; charset=utf-8"
# How long a receipt waits for a witness that does not answer.
WITNESS_PATIENCE = timedelta(minutes=1)


def find_receipt(account_id: UUID, entry: Entry) -> str | None:
    """Return an entry's receipt, or None when it must be asked for again in a moment.

    The first time it asks the sealer to publish: that takes a second.
    """
    leaf = Leaf.objects.filter(account_id=account_id, entry_id=entry.id).first()
    checkpoint = _covering(account_id, leaf.leaf_index) if leaf else None
    if leaf is None or checkpoint is None:
        publication.ask(account_id=account_id)
        return None
    if not _is_settled(checkpoint):
        return None
    return _written(entry, leaf, checkpoint)


def attachment(entry: Entry, receipt: str) -> HttpResponse:
    """Return a receipt as a file to be kept."""
    response = HttpResponse(receipt, content_type=CONTENT_TYPE)
    response.headers["Content-Disposition"] = f"attachment; filename={entry.id}.tlog-proof"
    response.headers["Cache-Control"] = "no-store, private"
    return response


def _covering(account_id: UUID, leaf_index: int) -> Checkpoint | None:
    """Return the oldest published checkpoint over a leaf, cosigned if there is a cosigned one."""
    published = Checkpoint.objects.of_account(account_id).filter(size__gt=leaf_index)
    witness = log_keys.find_witness()
    if witness is not None:
        seen = Cosignature.objects.filter(
            account_id=account_id, witness=witness.name, size__gt=leaf_index
        )
        cosigned = published.filter(size__in=seen.values("size")).order_by("size").first()
        if cosigned is not None:
            return cosigned
    return published.order_by("size").first()


def _is_settled(checkpoint: Checkpoint) -> bool:
    """Whether the witness has cosigned, or there is none, or it was waited for long enough."""
    witness = log_keys.find_witness()
    if witness is None or checkpoint.published_at <= timezone.now() - WITNESS_PATIENCE:
        return True
    return Cosignature.objects.filter(
        account_id=checkpoint.account_id, size=checkpoint.size, witness=witness.name
    ).exists()


def _written(entry: Entry, leaf: Leaf, checkpoint: Checkpoint) -> str:
    proof = proofs.inclusion_proof(entry.account_id, leaf=leaf, size=checkpoint.size)
    extra = {
        "entry": serializers.entry_with_salt_body(entry, leaf_index=leaf.leaf_index),
        "leaf_data": entry.leaf_data().decode(),
    }
    lines = [
        FIRST_LINE,
        f"extra {b64encode(canonical.encode(extra)).decode()}",
        f"index {leaf.leaf_index}",
        *map(proofs.encoded, proof.hashes),
    ]
    return "\n".join(lines) + "\n\n" + proofs.cosigned_note(checkpoint)
