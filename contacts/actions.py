"""Stop mail to a mailbox, and allow it again. Each writes its audit entry."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from auditlog import actions as audit
from contacts import payloads
from contacts.audit import Event
from contacts.models import REASON_LIMIT, Origin, Suppression
from queensmtp.actors import Actor, Target
from queensmtp.ids import new_id
from webhooks import actions as webhooks

# One that ends makes room for one that lasts longer; any other stands as it is.
SUPPRESS = """
INSERT INTO contacts_suppression AS stored
    (id, account_id, email, domain, origin, marketing_only, reason, source_id, created_by,
     created_at, expires_at, removed_by, removal_note)
SELECT one.id, %s, one.email, split_part(one.email, '@', 2), one.origin, one.marketing_only,
       one.reason, one.source_id, %s, %s, one.expires_at, '', ''
FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::boolean[], %s::text[], %s::uuid[],
            %s::timestamptz[])
    AS one (id, email, origin, marketing_only, reason, source_id, expires_at)
ON CONFLICT (account_id, email, marketing_only) WHERE removed_at IS NULL DO UPDATE
    SET origin = excluded.origin, reason = excluded.reason, source_id = excluded.source_id,
        created_by = excluded.created_by, created_at = excluded.created_at,
        expires_at = excluded.expires_at
    WHERE stored.expires_at IS NOT NULL
      AND (excluded.expires_at IS NULL OR excluded.expires_at > stored.expires_at)
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A mailbox, by its key, that is to be written to no more."""

    email: str
    origin: Origin
    reason: str = ""
    source_id: UUID | None = None
    expires_at: datetime | None = None

    @property
    def marketing_only(self) -> bool:
        return self.origin == Origin.UNSUBSCRIBE


@transaction.atomic
def suppress(
    *, by: Actor, wanted: Sequence[Wanted], event: Event = Event.SUPPRESSION_ADDED
) -> list[Suppression]:
    """The suppressions that stand now for these mailboxes, in their order.

    One that stood before is left as it is, so doing this twice changes nothing more.
    """
    account_id, now = by.tenant_id, timezone.now()
    distinct = {(one.email, one.marketing_only): one for one in reversed(wanted)}
    # In one order in every request, so that none waits for another that waits for it.
    changed = _insert(account_id, by, [distinct[place] for place in sorted(distinct)], now)
    rows = Suppression.objects.of(account_id, {one.email for one in wanted}).filter(removed_at=None)
    found = {(row.email, row.marketing_only): row for row in rows}
    added = [row for row in found.values() if row.pk in changed]
    if added:
        _record(by, event, added, {"origin": sorted({row.origin for row in added})})
        _tell(account_id, "suppression.added", added, now)
    return [found[one.email, one.marketing_only] for one in wanted]


@transaction.atomic
def remove(*, by: Actor, suppressions: Iterable[Suppression], note: str = "") -> list[Suppression]:
    """Allow mail again; those that were removed meanwhile are left out."""
    account_id, now = by.tenant_id, timezone.now()
    rows = list(
        Suppression.objects.select_for_update()
        .filter(account_id=account_id, pk__in=[one.pk for one in suppressions], removed_at=None)
        .order_by("pk")
    )
    for row in rows:
        row.removed_at, row.removed_by, row.removal_note = now, by.label, note[:REASON_LIMIT]
    Suppression.objects.bulk_update(rows, ["removed_at", "removed_by", "removal_note"])
    if rows:
        changes = {"origin": sorted({row.origin for row in rows}), "note": note}
        _record(by, Event.SUPPRESSION_REMOVED, rows, changes)
        _tell(account_id, "suppression.removed", rows, now)
    return rows


def _insert(account_id: UUID, by: Actor, wanted: Sequence[Wanted], now: datetime) -> set[UUID]:
    columns = [
        (
            new_id(),
            one.email,
            one.origin.value,
            one.marketing_only,
            one.reason[:REASON_LIMIT],
            one.source_id,
            one.expires_at,
        )
        for one in wanted
    ]
    if not columns:
        return set()
    arrays = [list(column) for column in zip(*columns, strict=True)]
    with connection.cursor() as cursor:
        cursor.execute(SUPPRESS, [account_id, by.label, now, *arrays])
        return {row[0] for row in cursor.fetchall()}


def _record(
    by: Actor, event: Event, rows: Sequence[Suppression], changes: Mapping[str, object]
) -> None:
    """One entry, however many there were."""
    first = rows[0]
    target = Target("suppression", str(first.pk), first.email) if len(rows) == 1 else None
    audit.record(by=by, event=event, target=target, changes=changes, count=len(rows))


def _tell(account_id: UUID, kind: str, rows: Iterable[Suppression], now: datetime) -> None:
    events = [webhooks.WebhookEvent(new_id(), kind, now, payloads.told(row)) for row in rows]
    webhooks.enqueue(account_id=account_id, events=events)
