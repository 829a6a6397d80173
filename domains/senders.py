"""Sender identities: add, change and remove them. Each writes its audit entry."""

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from auditlog import actions as audit
from domains.audit import Event
from domains.errors import SenderExists
from domains.models import Domain, SenderIdentity
from queensmtp import addresses
from queensmtp.actors import Actor, Target
from queensmtp.addresses import AddressRefused, Mailbox, parse_address
from queensmtp.errors import refuse_field


@transaction.atomic
def create(*, by: Actor, email: Mailbox, name: str = "", reply_to: str = "") -> SenderIdentity:
    """An identity at a verified domain of the account."""
    row = SenderIdentity(account_id=by.tenant_id, reply_to=reply_to)
    _set_address(row, email)
    row.name = _display_name(name, email)
    _save(row)
    audit.record(by=by, event=Event.SENDER_CREATED, target=target(row))
    return row


@transaction.atomic
def update(*, by: Actor, sender: SenderIdentity, changes: Mapping[str, Any]) -> SenderIdentity:
    row = SenderIdentity.objects.select_for_update().get(pk=sender.pk)
    before = {"name": row.name, "email": row.email, "reply_to": row.reply_to}
    if "email" in changes:
        _set_address(row, changes["email"])
    row.reply_to = changes.get("reply_to", row.reply_to)
    row.name = _display_name(changes.get("name", row.name), parse_address(row.email))
    after = {"name": row.name, "email": row.email, "reply_to": row.reply_to}
    changed = {
        name: {"before": before[name], "after": after[name]}
        for name in before
        if before[name] != after[name]
    }
    if changed:
        _save(row)
        audit.record(by=by, event=Event.SENDER_UPDATED, target=target(row), changes=changed)
    return row


@transaction.atomic
def remove(*, by: Actor, sender: SenderIdentity) -> None:
    gone, _ = SenderIdentity.objects.filter(pk=sender.pk).delete()
    if gone:
        audit.record(by=by, event=Event.SENDER_REMOVED, target=target(sender))


def target(row: SenderIdentity) -> Target:
    return Target("sender_id", str(row.pk), row.email)


def _set_address(row: SenderIdentity, email: Mailbox) -> None:
    own = Domain.objects.filter(account_id=row.account_id).verified()
    domain = own.filter(name=email.domain).first()
    if domain is None:
        message = f"{email.domain} is no verified domain of your account; verify it first."
        raise refuse_field("email", "domain_not_verified", message)
    row.domain, row.email, row.key = domain, email.address, email.key


def _save(row: SenderIdentity) -> None:
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise SenderExists(row.email) from error


def _display_name(name: str, mailbox: Mailbox) -> str:
    """A name that may stand before this address, as mail itself is read."""
    try:
        return addresses.named(name.strip(), mailbox).name
    except AddressRefused as problem:
        raise refuse_field("name", problem.code, f"{problem.message}.") from None
