"""Saving and removing named searches."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from django.db import transaction

from auditlog import actions, filters
from auditlog.audit import Event
from auditlog.saved import SavedView
from queensmtp.actors import Actor, Target
from queensmtp.errors import refuse_field

VIEWS_MAX = 100
LONGEST_NAME = 80


@transaction.atomic
def save(*, by: Actor, name: str, query: Mapping[str, Sequence[str]], is_shared: bool) -> SavedView:
    """Save a search under a name; the same person's view of that name is replaced."""
    name = " ".join(name.split())
    filters.read(query)
    if not 0 < len(name) <= LONGEST_NAME:
        raise refuse_field("name", "invalid", f"give 1 to {LONGEST_NAME} characters.")
    mine = SavedView.objects.filter(account_id=by.tenant_id, owner_id=by.id)
    if mine.exclude(name=name).count() >= VIEWS_MAX:
        raise refuse_field("name", "too_many", f"you have {VIEWS_MAX} views; remove one first.")
    view, _ = SavedView.objects.update_or_create(
        account_id=by.tenant_id,
        owner_id=by.id,
        name=name,
        defaults={
            "owner_label": by.label,
            "query": urlencode(dict(query), doseq=True),
            "is_shared": is_shared,
        },
    )
    actions.record(
        by=by,
        event=Event.VIEW_SAVED,
        target=_target(view),
        changes={"query": view.query, "shared": is_shared},
    )
    return view


@transaction.atomic
def remove(*, by: Actor, view: SavedView) -> None:
    actions.record(by=by, event=Event.VIEW_REMOVED, target=_target(view))
    view.delete()


def _target(view: SavedView) -> Target:
    return Target("audit_view", str(view.pk), view.name)
