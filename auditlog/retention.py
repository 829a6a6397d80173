"""Takes contents away: of entries past their retention, and personal data of who is erased.

Leaf hashes, tiles and checkpoints stay, so no root moves and every old receipt verifies. The rows
themselves are touched by two functions of the role `retention` alone, which look at the account's
days and at Postgres's own clock.
"""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Value
from django.db.models.functions import Greatest
from django.utils import timezone

from auditlog import actions, filters, indexing, postings, search
from auditlog.audit import Event
from auditlog.filters import id_bounds
from auditlog.models import Head, Leaf, Posting, Segment
from auditlog.retained import Erasure, Retention, RetentionClock
from queensmtp import bell
from queensmtp.actors import Actor, Target, system_actor
from queensmtp.errors import refuse_field
from queensmtp.ids import new_id
from queensmtp.pagination import Cursor

ERASE_TASK = "auditlog.tasks.erase_due"
LONGEST_DAYS = 3650
# Of an account that never said.
DEFAULT_DAYS = 365
PRUNED_AT_ONCE = 5_000
LOOKED_AT_ONCE = 100
# The clock is looked at each hour. Sooner is no second look, and later may be a jump.
SOONEST, LATEST = timedelta(minutes=50), timedelta(hours=3)
# What says whose data is to go: any other filter alone would erase strangers.
NAMING = frozenset({"actor", "target", "q", "ip"})

logger = logging.getLogger(__name__)


# --- Days --------------------------------------------------------------------------------------


def set_plan_days(*, account_id: UUID, days: int) -> None:
    """What the account's plan gives. In the caller's transaction, which says so in the log."""
    Retention.objects.bulk_create(
        [Retention(account_id=account_id, plan_days=days)],
        update_conflicts=True,
        unique_fields=["account_id"],
        update_fields=["plan_days"],
    )


def days_of(account_id: UUID) -> int:
    found = Retention.objects.filter(account_id=account_id).first()
    return found.days if found else DEFAULT_DAYS


@transaction.atomic
def choose_days(*, by: Actor, days: int) -> None:
    """Keep entries for longer. It can be raised again, and never lowered."""
    account_id = by.tenant_id
    found = Retention.objects.select_for_update().filter(account_id=account_id).first()
    before = found.days if found else DEFAULT_DAYS
    if not before < days <= LONGEST_DAYS:
        raise refuse_field(
            "days",
            "out_of_range",
            f"give a number over {before}, up to {LONGEST_DAYS}: it can only be raised.",
        )
    if found:
        found.chosen_days = days
        found.save(update_fields=["chosen_days"])
    else:
        Retention.objects.create(account_id=account_id, plan_days=before, chosen_days=days)
    actions.record(
        by=by,
        event=Event.RETENTION_RAISED,
        target=Target("account", str(account_id)),
        changes={"days": {"before": before, "after": days}},
    )


# --- Past their days ---------------------------------------------------------------------------


def prune_due(*, now: datetime) -> int:
    """Take the contents of entries past their retention; return how many entries went.

    Nothing goes before the clock made sense so many times in a row.
    """
    if not confirm_clock(now=now):
        return 0
    return sum(_prune(account_id, now=now) for account_id in _accounts())


@transaction.atomic
def confirm_clock(*, now: datetime) -> bool:
    """Look at the clock; return whether it went as clocks go for long enough to trust it.

    A jump, forward or back, and an outage that looks like one, begin the count anew.
    """
    clock, is_new = RetentionClock.objects.select_for_update().get_or_create(
        id=1, defaults={"last_seen_at": now}
    )
    passed = now - clock.last_seen_at
    if is_new or timedelta() <= passed < SOONEST:
        return False
    if SOONEST <= passed <= LATEST:
        clock.confirmations += 1
    else:
        clock.confirmations = 0
        logger.warning("audit_retention_clock_jumped", extra={"seconds": passed.total_seconds()})
    clock.last_seen_at = now
    clock.save(update_fields=["last_seen_at", "confirmations"])
    return clock.confirmations >= settings.AUDIT_PRUNE_CONFIRMATIONS


def _accounts() -> list[UUID]:
    return list(Head.objects.values_list("account_id", flat=True))


def _prune(account_id: UUID, *, now: datetime) -> int:
    before = now - timedelta(days=days_of(account_id))
    total = 0
    while deleted := _prune_some(account_id, before):
        total += deleted
    _forget_segments(account_id, before)
    return total


@transaction.atomic
def _prune_some(account_id: UUID, before: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT auditlog_prune(%s, %s, %s)", [account_id, before, PRUNED_AT_ONCE])
        deleted = int(cursor.fetchone()[0])
    if deleted:
        # Days that were raised since reach less far back, and what went is still gone.
        furthest = Greatest("pruned_before", Value(before))
        Retention.objects.filter(account_id=account_id).update(pruned_before=furthest)
        actions.record(
            by=system_actor(account_id, "retention"),
            event=Event.ENTRIES_PRUNED,
            target=Target("account", str(account_id)),
            changes={"entries": deleted, "before": before},
        )
    return deleted


@transaction.atomic
def _forget_segments(account_id: UUID, before: datetime) -> None:
    """The search index holds words and addresses: it goes with what it was made from."""
    _, past = id_bounds(None, before - 2 * filters.CLOCK_SLACK)
    gone = Segment.objects.filter(account_id=account_id, highest__lt=past)
    numbers = list(gone.values_list("number", flat=True))
    if numbers:
        Posting.objects.filter(account_id=account_id, segment__in=numbers).delete()
        gone.delete()


# --- Of a person -------------------------------------------------------------------------------


@transaction.atomic
def request_erasure(*, by: Actor, query: Mapping[str, Sequence[str]]) -> Erasure:
    """Have personal data erased from every sealed entry that the list finds with this query."""
    filters.read(query)
    if not NAMING & query.keys():
        raise refuse_field(
            "q", "missing", f"say whose data it is with one of {', '.join(sorted(NAMING))}."
        )
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
    bell.ring(ERASE_TASK, queue="records")
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
    if not waiting.exists():
        return 0
    ids = _found(erasure)
    with connection.cursor() as cursor:
        cursor.execute("SELECT auditlog_erase(%s, %s)", [erasure.account_id, ids])
        count = int(cursor.fetchone()[0])
    _index_again(erasure.account_id, ids)
    waiting.update(filters={}, entry_count=count, finished_at=timezone.now())
    actions.record(
        by=system_actor(erasure.account_id, "retention"),
        event=Event.PERSONAL_DATA_ERASED,
        target=Target("audit_erasure", str(erasure.pk)),
        changes={"entries": count},
    )
    return count


def _found(erasure: Erasure) -> list[UUID]:
    read = filters.read(erasure.filters)
    found: list[UUID] = []
    after = None
    while True:
        page = search.find(erasure.account_id, read, Cursor(limit=LOOKED_AT_ONCE, after=after))
        found += [entry.id for entry in page.rows if not entry.is_erased]
        if not page.has_more:
            return found
        after = page.rows[-1].id


def _index_again(account_id: UUID, ids: list[UUID]) -> None:
    """Words and addresses stand in the search index too."""
    indexes = Leaf.objects.indexes_of(account_id, ids).values()
    touched = {index // postings.WIDTH for index in indexes}
    written = Segment.objects.filter(account_id=account_id, number__in=touched)
    for number in written.values_list("number", flat=True):
        indexing.index_again(account_id, number)
