"""Add a domain with its DKIM keys, change it, ask for a check, remove it. Each writes its entry."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings as django_settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from auditlog import actions as audit
from domains import dkim_keys, telling
from domains.audit import Event
from domains.dkim_keys import Algorithm, KeyPair, SigningKey
from domains.errors import DomainExists
from domains.models import DkimKey, DkimState, Domain
from queensmtp import bell, crypto
from queensmtp.actors import Actor, Target
from queensmtp.errors import refuse_field
from queensmtp.ids import new_id

CHECK_TASK = "domains.tasks.check_due"
# Selectors are our own for each domain of each account: two accounts that claim one name never
# ask its owner for different keys at the same place.
PREFIXES = {Algorithm.RSA: "qs1", Algorithm.ED25519: "qs2"}
CODE_BYTES = 3


@transaction.atomic
def create(*, by: Actor, name: str, settings: Mapping[str, Any] | None = None) -> Domain:
    """A domain, not yet verified, with an RSA and an Ed25519 key. `name` is in normal form."""
    given = dict(settings or {})
    _refuse_more_than_allowed(by)
    try:
        with transaction.atomic():
            domain = Domain.objects.create(account_id=by.tenant_id, name=name, **given)
    except IntegrityError as error:
        raise DomainExists(name) from error
    code = new_code()
    for algorithm, prefix in PREFIXES.items():
        add_key(domain, dkim_keys.generate(algorithm), f"{prefix}-{code}", DkimState.SIGNING)
    changes = {"is_lookalike": True} if domain.is_lookalike else {}
    audit.record(by=by, event=Event.CREATED, target=target(domain), changes=changes)
    telling.webhook(domain, "created")
    bell.ring(CHECK_TASK, queue="records")
    return domain


@transaction.atomic
def update(*, by: Actor, domain: Domain, changes: Mapping[str, Any]) -> Domain:
    """Set what is given; a new record is looked for at once."""
    found = Domain.objects.select_for_update().get(pk=domain.pk)
    changed = {name: value for name, value in changes.items() if getattr(found, name) != value}
    if not changed:
        return found
    entry = {
        name: {"before": getattr(found, name), "after": value} for name, value in changed.items()
    }
    for name, value in changed.items():
        setattr(found, name, value)
    now = timezone.now()
    found.awaited_since, found.check_due_at = now, now
    found.save(update_fields=[*changed, "awaited_since", "check_due_at"])
    audit.record(by=by, event=Event.UPDATED, target=target(found), changes=entry)
    telling.webhook(found, "updated")
    bell.ring(CHECK_TASK, queue="records")
    return found


@transaction.atomic
def request_check(*, by: Actor, domain: Domain) -> Domain:
    """Look at its DNS now; a worker does."""
    found = Domain.objects.select_for_update().get(pk=domain.pk)
    now = timezone.now()
    found.check_requested_at, found.check_due_at = now, now
    fields = ["check_requested_at", "check_due_at"]
    if not found.can_send:
        found.awaited_since = now
        fields.append("awaited_since")
    found.save(update_fields=fields)
    audit.record(by=by, event=Event.CHECK_REQUESTED, target=target(found))
    bell.ring(CHECK_TASK, queue="records")
    return found


@transaction.atomic
def remove(*, by: Actor, domain: Domain) -> Domain:
    """It sends no more, at once; its private keys are gone. The row stays for what it sent."""
    found = Domain.objects.select_for_update().get(pk=domain.pk)
    if found.removed_at is not None:
        return found
    found.removed_at, found.can_send, found.check_due_at = timezone.now(), False, None
    found.save(update_fields=["removed_at", "can_send", "check_due_at"])
    audit.record(by=by, event=Event.REMOVED, target=target(found))
    telling.webhook(found, "deleted")
    found.dkim_keys.all().update(private_key=b"", state=DkimState.RETIRED)
    return found


def _refuse_more_than_allowed(by: Actor) -> None:
    """Each domain costs keys and, for ever after, questions to DNS."""
    held = Domain.objects.standing().filter(account_id=by.tenant_id).count()
    if held >= django_settings.DOMAINS_MAX:
        message = f"your account has {held} domains, which is the most; remove one first."
        raise refuse_field("name", "too_many", message)


def signing_keys(domain: Domain) -> list[SigningKey]:
    """The domain's private keys, loaded; keep them, since loading costs more than signing."""
    keys = domain.dkim_keys.signing().order_by("-algorithm")
    return [load_key(key, domain_name=domain.name) for key in keys]


def load_key(key: DkimKey, *, domain_name: str) -> SigningKey:
    """One private key, decrypted and ready to sign."""
    private = crypto.decrypt(
        bytes(key.private_key),
        account_id=key.account_id,
        table="domains_dkimkey",
        column="private_key",
        row_id=str(key.pk),
    )
    return dkim_keys.load(private, domain=domain_name, selector=key.selector)


def add_key(domain: Domain, pair: KeyPair, selector: str, state: DkimState) -> DkimKey:
    """A key of the domain, its private half encrypted for its row alone."""
    key_id = new_id()
    private = crypto.encrypt(
        pair.private_der,
        account_id=domain.account_id,
        table="domains_dkimkey",
        column="private_key",
        row_id=str(key_id),
    )
    return DkimKey.objects.create(
        id=key_id,
        account_id=domain.account_id,
        domain=domain,
        selector=selector,
        algorithm=pair.algorithm,
        private_key=private,
        public_key=pair.public_der,
        state=state,
    )


def new_code() -> str:
    return secrets.token_hex(CODE_BYTES)


def target(domain: Domain) -> Target:
    return Target("domain", str(domain.pk), domain.name)


def selectors_of(keys: Sequence[DkimKey]) -> list[str]:
    return sorted(key.selector for key in keys)
