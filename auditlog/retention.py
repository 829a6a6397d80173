"""How many days an account keeps its entries: those of its plan, or more if somebody chose so.

More holds at once. Fewer, when a plan falls, hold only after a month's notice, by Postgres's clock
and no sooner than a clock that can be trusted: what is pruned does not come back.
"""

from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Value
from django.db.models.functions import Greatest, Now

from auditlog import actions, clock, filters, search
from auditlog.audit import Event
from auditlog.retained import Retention
from queensmtp.actors import Actor, Target, system_actor
from queensmtp.errors import refuse_field
from queensmtp.pagination import Cursor

LONGEST_DAYS = 3650
# Of an account that never said.
DEFAULT_DAYS = 365
NOTICE_DAYS = 30


class Step(Enum):
    """What carrying over the days of a plan came to."""

    NOTHING = auto()
    RAISED = auto()
    ANNOUNCED = auto()
    WITHDRAWN = auto()
    LOWERED = auto()


def begin(*, account_id: UUID, plan_days: int) -> None:
    """A new account keeps what its plan gives. In the caller's transaction, which says so."""
    Retention.objects.create(account_id=account_id, plan_days=plan_days)


def find(account_id: UUID) -> Retention:
    """Return how the account's entries are kept; one that never said has no row."""
    found = Retention.objects.filter(account_id=account_id).first()
    return found or Retention(account_id=account_id, plan_days=DEFAULT_DAYS)


def days_of(account_id: UUID) -> int:
    return find(account_id).days


@transaction.atomic
def choose_days(*, by: Actor, days: int) -> Retention:
    """Keep entries for longer. It can be raised again, and never lowered."""
    kept = _locked(by.tenant_id)
    # While a fall is announced: whoever wants to keep more than will be left may choose any of it.
    before = kept.days_after_fall
    if not before < days <= LONGEST_DAYS:
        raise refuse_field(
            "days",
            "out_of_range",
            f"give a number over {before}, up to {LONGEST_DAYS}: it can only be raised.",
        )
    kept.chosen_days = days
    kept.save(update_fields=["chosen_days"])
    _record(by, Event.RETENTION_RAISED, days={"before": before, "after": days})
    return kept


@transaction.atomic
def follow_plan(*, account_id: UUID, days: int) -> Step:
    """Carry over what the account's plan gives by now. As the account; twice changes nothing."""
    kept = _locked(account_id)
    by = system_actor(account_id, "plan")
    if days > kept.plan_days:
        return _raise(kept, by, days)
    if days == kept.plan_days:
        return _withdraw(kept, by)
    if days != kept.falls_to:
        return _announce(kept, by, days)
    return _lower(kept, by)


def remember_pruned(*, account_id: UUID, before: datetime) -> None:
    """Keep how far back nothing is left: verification asks. In the caller's transaction."""
    _locked(account_id)
    # Days that were raised since reach less far back, and what went is still gone.
    furthest = Greatest("pruned_before", Value(before))
    Retention.objects.filter(account_id=account_id).update(pruned_before=furthest)


def _raise(kept: Retention, by: Actor, days: int) -> Step:
    before = kept.plan_days
    kept.plan_days, kept.falls_to, kept.falls_at = days, None, None
    _save(kept)
    _record(by, Event.RETENTION_RAISED, plan_days={"before": before, "after": days})
    return Step.RAISED


def _withdraw(kept: Retention, by: Actor) -> Step:
    if kept.falls_to is None:
        return Step.NOTHING
    _record(by, Event.FALL_WITHDRAWN, plan_days=kept.plan_days)
    kept.falls_to, kept.falls_at = None, None
    _save(kept)
    return Step.WITHDRAWN


def _announce(kept: Retention, by: Actor, days: int) -> Step:
    kept.falls_to, kept.falls_at = days, Now() + timedelta(days=NOTICE_DAYS)
    _save(kept)
    kept.refresh_from_db()
    after = {"before": kept.plan_days, "after": days}
    _record(by, Event.FALL_ANNOUNCED, plan_days=after, falls_at=kept.falls_at)
    return Step.ANNOUNCED


def _lower(kept: Retention, by: Actor) -> Step:
    is_time = Retention.objects.filter(account_id=kept.account_id, falls_at__lte=Now()).exists()
    if kept.falls_to is None or not is_time or not clock.is_trusted():
        return Step.NOTHING
    before, after = kept.plan_days, kept.falls_to
    kept.plan_days, kept.falls_to, kept.falls_at = after, None, None
    _save(kept)
    _record(by, Event.RETENTION_LOWERED, plan_days={"before": before, "after": after})
    return Step.LOWERED


def _save(kept: Retention) -> None:
    kept.save(update_fields=["plan_days", "falls_to", "falls_at"])


def _record(by: Actor, event: Event, **changes: Any) -> None:
    target = Target("account", str(by.tenant_id))
    actions.record(by=by, event=event, target=target, changes=changes)


def _locked(account_id: UUID) -> Retention:
    """Return the account's row, locked. Its first says what was pruned while there was none."""
    if not Retention.objects.filter(account_id=account_id).exists():
        first = Retention(
            account_id=account_id,
            plan_days=DEFAULT_DAYS,
            pruned_before=_pruned_before(account_id),
        )
        Retention.objects.bulk_create([first], ignore_conflicts=True)
    return Retention.objects.select_for_update().get(account_id=account_id)


def _pruned_before(account_id: UUID) -> datetime | None:
    """Return how far the log says that it was pruned. Whatever prunes that entry writes a newer."""
    wanted = filters.read({"event": [Event.ENTRIES_PRUNED]})
    for entry in search.find(account_id, wanted, Cursor(limit=1)).rows:
        said = entry.changes.get("before")
        if said is None:
            return entry.created_at - timedelta(days=DEFAULT_DAYS)
        return datetime.fromisoformat(said)
    return None
