"""Add a domain with its DKIM keys, and mark it verified. Each writes its audit entry."""

from django.db import transaction
from django.utils import timezone

from auditlog import actions as audit
from domains import dkim_keys
from domains.audit import Event
from domains.dkim_keys import Algorithm, SigningKey
from domains.models import DkimKey, Domain, DomainStatus
from queensmtp import crypto
from queensmtp.actors import Actor, Target
from queensmtp.ids import new_id

SELECTORS = {Algorithm.RSA: "qs1", Algorithm.ED25519: "qs2"}


@transaction.atomic
def create(*, by: Actor, name: str) -> Domain:
    """A domain, not yet verified, with an RSA and an Ed25519 key."""
    domain = Domain.objects.create(account_id=by.tenant_id, name=name)
    for algorithm, selector in SELECTORS.items():
        _create_key(domain, algorithm, selector)
    audit.record(by=by, event=Event.CREATED, target=_target(domain))
    return domain


@transaction.atomic
def mark_verified(*, by: Actor, domain: Domain) -> Domain:
    """The domain's records were seen in DNS. Doing it twice changes nothing more."""
    found = Domain.objects.select_for_update().get(pk=domain.pk)
    if found.is_verified:
        return found
    before = found.status
    found.status, found.verified_at = DomainStatus.VERIFIED, timezone.now()
    found.save(update_fields=["status", "verified_at"])
    change = {"status": {"before": before, "after": found.status}}
    audit.record(by=by, event=Event.VERIFIED, target=_target(found), changes=change)
    return found


def signing_keys(domain: Domain) -> list[SigningKey]:
    """The domain's private keys, loaded; keep them, since loading costs more than signing."""
    keys = domain.dkim_keys.signing().order_by("selector")
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


def _create_key(domain: Domain, algorithm: Algorithm, selector: str) -> DkimKey:
    pair, key_id = dkim_keys.generate(algorithm), new_id()
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
        algorithm=algorithm,
        private_key=private,
        public_key=pair.public_der,
    )


def _target(domain: Domain) -> Target:
    return Target("domain", str(domain.pk), domain.name)
