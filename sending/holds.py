"""What an admin holds back and lets go, and the warm-up of young domains."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Count, QuerySet
from django.utils import timezone

from auditlog import actions as audit
from domains.models import Domain
from queensmtp import addresses, bell
from queensmtp.actors import Actor, Target
from queensmtp.addresses import AddressRefused
from queensmtp.errors import refuse_field
from sending.accept import DELIVER_TASK
from sending.audit import Event
from sending.models import Hold, HoldKind, Message, Recipient, Warmup


@transaction.atomic
def hold(*, by: Actor, kind: HoldKind, name: str = "", reason: str = "") -> Hold:
    """Hold mail back from now on. What is held already stays as it is."""
    name = "" if kind == HoldKind.ACCOUNT else _domain(name)
    found, is_new = Hold.objects.get_or_create(
        account_id=by.tenant_id,
        kind=kind,
        name=name,
        defaults={"reason": reason, "created_by": by.label},
    )
    if is_new:
        facts = {"kind": kind.value, "name": name, "reason": reason}
        audit.record(by=by, event=Event.PAUSED, target=_target(found), changes=facts)
    return found


@transaction.atomic
def let_go(*, by: Actor, hold: Hold) -> None:
    """What was held is due at once. Letting go twice changes nothing more."""
    deleted, _ = Hold.objects.filter(pk=hold.pk, account_id=by.tenant_id).delete()
    if not deleted:
        return
    _held(hold).filter(due_at__gt=timezone.now()).update(due_at=timezone.now())
    audit.record(by=by, event=Event.RESUMED, target=_target(hold))
    bell.ring(DELIVER_TASK, queue="send")


@transaction.atomic
def warm_up(*, by: Actor, domain: Domain, now: datetime) -> Warmup:
    """Begin the warm-up of a domain today. One that is under way goes on."""
    today = now.date()
    found, is_new = Warmup.objects.get_or_create(
        account_id=by.tenant_id,
        domain=domain,
        defaults={"started_on": today, "counted_on": today},
    )
    if is_new:
        audit.record(by=by, event=Event.WARM_UP_BEGUN, target=_target_of(domain))
    return found


@transaction.atomic
def end_warm_up(*, by: Actor, domain: Domain) -> None:
    """Let a domain send without a daily limit, and what waited for tomorrow at once."""
    deleted, _ = Warmup.objects.filter(account_id=by.tenant_id, domain=domain).delete()
    if not deleted:
        return
    _of_domain(by.tenant_id, domain.name).update(due_at=timezone.now())
    audit.record(by=by, event=Event.WARM_UP_ENDED, target=_target_of(domain))
    bell.ring(DELIVER_TASK, queue="send")


def waiting_counts(account_id: UUID, *, limit: int) -> dict[str, int]:
    """How many recipients wait in each state, counting no further than `limit` in all."""
    waiting = Recipient.objects.claimable().filter(account_id=account_id)
    bounded = Recipient.objects.filter(pk__in=waiting.order_by("due_at").values("pk")[:limit])
    counted = bounded.values_list("state").annotate(count=Count("pk")).order_by("state")
    return dict(counted)


def destinations_of(account_id: UUID, *, limit: int, most: int) -> Sequence[tuple[str, int]]:
    """Where the most of the waiting mail goes, of the `limit` that are due first."""
    waiting = Recipient.objects.claimable().filter(account_id=account_id)
    bounded = Recipient.objects.filter(pk__in=waiting.order_by("due_at").values("pk")[:limit])
    counted = bounded.values_list("domain").annotate(count=Count("pk"))
    return list(counted.order_by("-count", "domain")[:most])


def _held(hold: Hold) -> QuerySet[Recipient]:
    if hold.kind == HoldKind.DOMAIN:
        return _of_domain(hold.account_id, hold.name)
    waiting = Recipient.objects.claimable().filter(account_id=hold.account_id)
    return waiting.filter(domain=hold.name) if hold.kind == HoldKind.DESTINATION else waiting


def _of_domain(account_id: UUID, name: str) -> QuerySet[Recipient]:
    sent_from = Message.objects.filter(account_id=account_id, domain__name=name)
    waiting = Recipient.objects.claimable().filter(account_id=account_id)
    return waiting.filter(message_id__in=sent_from.values("pk"))


def _domain(name: str) -> str:
    try:
        return addresses.parse_domain(name)
    except AddressRefused as refusal:
        raise refuse_field("name", "invalid_domain", str(refusal)) from None


def _target(hold: Hold) -> Target:
    return Target("hold", str(hold.pk), str(hold))


def _target_of(domain: Domain) -> Target:
    return Target("domain", str(domain.pk), domain.name)
