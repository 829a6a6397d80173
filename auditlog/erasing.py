"""Takes the personal data of who is erased out of sealed entries.

Event, time, outcome and proof stay. The rows are touched by a function of the role `retention`.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from auditlog import actions, filters, indexing, postings, search
from auditlog.audit import Event
from auditlog.models import Entry, Leaf, Pending, Segment
from auditlog.retained import Erasure, commitment, packed
from queensmtp import bell
from queensmtp.actors import Actor, Target, system_actor
from queensmtp.errors import refuse_field
from queensmtp.ids import new_id
from queensmtp.pagination import Cursor

TASK = "auditlog.tasks.erase_due"
LOOKED_AT_ONCE = 100
# Of the system alone: they name nobody, and vouch for what is gone.
KEPT = frozenset({Event.PERSONAL_DATA_ERASED, Event.ENTRIES_PRUNED})


@transaction.atomic
def request(*, by: Actor, query: Mapping[str, Sequence[str]]) -> Erasure:
    """Have personal data erased from every sealed entry that the list finds with this query."""
    if not filters.read(query).names_somebody:
        message = (
            "say whose data it is: with words in `q`, with the id of an `actor` or `target`, or "
            "with one `ip` (of IPv6, at most a /64)."
        )
        raise refuse_field("q", "missing", message)
    account_id = by.tenant_id
    id = new_id()
    erasure = Erasure.objects.create(
        id=id,
        account_id=account_id,
        filters={"reads": ["true"], **{name: list(values) for name, values in query.items()}},
        asked_by_type=by.type,
        asked_by_id=by.id,
        asked_by_label=by.label,
    )
    # Which filters, and not their values: they name the person.
    actions.record(
        by=by,
        event=Event.ERASURE_REQUESTED,
        target=Target("audit_erasure", str(id)),
        changes={"filters": sorted(query)},
    )
    bell.ring(TASK, queue="records")
    return erasure


def erase_due() -> int:
    """Carry out what was asked for; return how many entries were erased."""
    total = 0
    for erasure in Erasure.objects.filter(finished_at=None).order_by("created_at"):
        total += _erase(erasure)
    return total


@transaction.atomic
def _erase(erasure: Erasure) -> int:
    waiting = Erasure.objects.select_for_update(skip_locked=True).filter(
        pk=erasure.pk, finished_at=None
    )
    if not waiting.exists() or _is_unsealed(erasure):
        return 0
    ids = _found(erasure)
    leaves = packed(Leaf.objects.indexes_of(erasure.account_id, ids).values())
    with connection.cursor() as cursor:
        cursor.execute("SELECT auditlog_erase(%s, %s)", [erasure.account_id, ids])
        count = int(cursor.fetchone()[0])
    _index_again(erasure.account_id, ids)
    waiting.update(filters={}, entry_count=count, leaves=leaves, finished_at=timezone.now())
    actions.record(
        by=system_actor(erasure.account_id, "retention"),
        event=Event.PERSONAL_DATA_ERASED,
        target=Target("audit_erasure", str(erasure.pk)),
        changes={"entries": count, "leaves_sha256": commitment(leaves)},
    )
    return count


def _is_unsealed(erasure: Erasure) -> bool:
    """Whether something waits that was recorded before it was asked for: it may be about them."""
    before = Pending.objects.filter(account_id=erasure.account_id, entry_id__lt=erasure.pk)
    return before.exists()


def _found(erasure: Erasure) -> list[UUID]:
    read = filters.read(erasure.filters)
    found: list[UUID] = []
    after = None
    while True:
        page = search.find(erasure.account_id, read, Cursor(limit=LOOKED_AT_ONCE, after=after))
        found += [entry.id for entry in page.rows if _may_hold_personal_data(entry)]
        if not page.has_more:
            return found
        after = page.rows[-1].id


def _may_hold_personal_data(entry: Entry) -> bool:
    return not entry.is_erased and entry.event not in KEPT


def _index_again(account_id: UUID, ids: list[UUID]) -> None:
    """Words and addresses stand in the search index too."""
    indexes = Leaf.objects.indexes_of(account_id, ids).values()
    touched = {index // postings.WIDTH for index in indexes}
    written = Segment.objects.filter(account_id=account_id, number__in=touched)
    for number in written.values_list("number", flat=True):
        indexing.index_again(account_id, number)
