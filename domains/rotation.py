"""DKIM keys come and go without a gap.

New keys are published first and sign nothing. When DNS shows all of them, they sign and the old
ones do not; the old records stay through an overlap, since mail that they signed is under way.
Then their private halves are dropped, and their records are safe to remove.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from auditlog import actions as audit
from domains import actions, dkim_keys, telling
from domains.audit import Event
from domains.dkim_keys import Algorithm, KeyPair
from domains.errors import RotationUnderWay
from domains.models import DkimKey, DkimState, Domain
from domains.standing import VERIFIED, Finding
from queensmtp import bell
from queensmtp.actors import Actor
from queensmtp.errors import refuse_field


@transaction.atomic
def prepare(
    *, by: Actor, domain: Domain, selector: str = "", own: KeyPair | None = None
) -> list[DkimKey]:
    """New keys of both kinds, which wait until DNS shows them.

    A customer's own key stands in for ours of its kind; `selector` names it, or our RSA key.
    """
    found = Domain.objects.select_for_update().get(pk=domain.pk)
    if found.dkim_keys.filter(state=DkimState.NEXT).exists():
        raise RotationUnderWay()
    if selector and found.dkim_keys.filter(selector=selector).exists():
        raise refuse_field("selector", "taken", "this domain has used it before; choose another.")
    code, named = actions.new_code(), own.algorithm if own else Algorithm.RSA
    keys = []
    for algorithm, prefix in actions.PREFIXES.items():
        pair = own if own and own.algorithm == algorithm else dkim_keys.generate(algorithm)
        at = selector if selector and algorithm == named else f"{prefix}-{code}"
        keys.append(actions.add_key(found, pair, at, DkimState.NEXT))
    now = timezone.now()
    found.awaited_since, found.check_due_at = now, now
    found.save(update_fields=["awaited_since", "check_due_at"])
    changes = {"selectors": actions.selectors_of(keys), "own_key": own is not None}
    _record(by, Event.KEY_PREPARED, found, changes)
    bell.ring(actions.CHECK_TASK, queue="records")
    return keys


@transaction.atomic
def withdraw(*, by: Actor, domain: Domain) -> None:
    """Forget the keys that wait for DNS; what signs now goes on."""
    found = Domain.objects.select_for_update().get(pk=domain.pk)
    waiting = list(found.dkim_keys.filter(state=DkimState.NEXT))
    if not waiting:
        return
    _move(waiting, DkimState.RETIRED, timezone.now())
    changes = {"selectors": actions.selectors_of(waiting)}
    _record(by, Event.KEY_WITHDRAWN, found, changes)


def advance(*, by: Actor, domain: Domain, findings: Mapping[str, Finding], now: datetime) -> bool:
    """Switch when DNS shows every new key; retire what has been out of use long enough."""
    keys = list(domain.dkim_keys.all())
    switched = _switch(by, domain, keys, findings, now)
    retired = _retire(by, domain, keys, now)
    return switched or retired


def _switch(
    by: Actor,
    domain: Domain,
    keys: Sequence[DkimKey],
    findings: Mapping[str, Finding],
    now: datetime,
) -> bool:
    coming = [key for key in keys if key.state == DkimState.NEXT]
    shown = [findings.get(f"dkim:{key.selector}", Finding()).status for key in coming]
    if not coming or set(shown) != {VERIFIED}:
        return False
    going = [key for key in keys if key.state == DkimState.SIGNING]
    _move(coming, DkimState.SIGNING, now)
    _move(going, DkimState.RETIRING, now)
    changes = {
        "signing": actions.selectors_of(coming),
        "retiring": actions.selectors_of(going),
    }
    _record(by, Event.KEY_SWITCHED, domain, changes)
    return True


def _retire(by: Actor, domain: Domain, keys: Sequence[DkimKey], now: datetime) -> bool:
    overlap = timedelta(hours=settings.DKIM_OVERLAP_HOURS)
    over = [
        key for key in keys if key.state == DkimState.RETIRING and key.state_since + overlap <= now
    ]
    if not over:
        return False
    _move(over, DkimState.RETIRED, now)
    selectors = actions.selectors_of(over)
    _record(by, Event.KEY_RETIRED, domain, {"selectors": selectors})
    telling.people(
        domain,
        kind="dkim_key.retired",
        subject=f"Old DKIM records of {domain.name} are safe to remove",
        text=f"Nothing needs these selectors of {domain.name} any more: {', '.join(selectors)}.",
    )
    return True


def _move(keys: Sequence[DkimKey], state: DkimState, now: datetime) -> None:
    for key in keys:
        key.state, key.state_since = state, now
        if state == DkimState.RETIRED:
            key.private_key = b""
        key.save(update_fields=["state", "state_since", "private_key"])


def _record(by: Actor, event: Event, domain: Domain, changes: Mapping[str, object]) -> None:
    audit.record(by=by, event=event, target=actions.target(domain), changes=changes)
