"""Sends a stored message once more, by hand: a message of its own, to the same recipients."""

from django.db import transaction
from django.utils import timezone

from auditlog import actions as audit
from domains.models import Domain
from queensmtp import addresses, bell, crypto
from queensmtp.actors import Actor, Target
from queensmtp.ids import new_id
from sending import gates, quota_counters, quotas
from sending.accept import DELIVER_TASK
from sending.audit import Event
from sending.errors import ContentsGone
from sending.gates import Refused
from sending.models import Message, Recipient
from sending.submissions import message_id_for


@transaction.atomic
def resend(*, by: Actor, message: Message) -> Message:
    """The copy. Its domain must still be verified, and its contents still be kept.

    It belongs to no key: the person who asks for it is in the audit log. Whether a recipient is
    suppressed by now is asked at delivery.
    """
    domain = Domain.objects.get(pk=message.domain_id)
    if not domain.is_verified:
        raise gates.domain_not_verified(domain.name).error
    copy = _copy(message, by)
    recipients = list(message.recipients.order_by("pk"))
    _spend(copy, recipients)
    copy.save(force_insert=True)
    Recipient.objects.bulk_create(
        Recipient(
            account_id=copy.account_id,
            message=copy,
            kind=one.kind,
            address=one.address,
            domain=one.domain,
            due_at=copy.created_at,
        )
        for one in recipients
    )
    audit.record(
        by=by,
        event=Event.RESENT,
        target=Target("email", str(copy.pk)),
        changes={"of": str(message.pk), "recipients": len(recipients)},
    )
    bell.ring(DELIVER_TASK, queue="send")
    return copy


def _spend(copy: Message, recipients: list[Recipient]) -> None:
    """It counts as any other message of the account."""
    spending = quotas.spending_of(
        copy.account_id,
        quotas.of_account(copy.account_id, copy.account.plan),
        [one.address for one in recipients],
        environment=copy.environment,
        now=copy.created_at,
    )
    try:
        quota_counters.spend_alone(spending)
    except Refused as refused:
        raise refused.error from None


def _copy(message: Message, by: Actor) -> Message:
    if message.content is None:
        raise ContentsGone
    id = new_id()
    plain = crypto.decrypt(
        bytes(message.content),
        account_id=message.account_id,
        table="sending_message",
        column="content",
        row_id=str(message.pk),
    )
    content = crypto.encrypt(
        plain,
        account_id=message.account_id,
        table="sending_message",
        column="content",
        row_id=str(id),
    )
    return Message(
        id=id,
        account_id=message.account_id,
        key_id=None,
        domain_id=message.domain_id,
        environment=message.environment,
        via="console",
        request_id=by.origin.request_id,
        message_id=message_id_for(id, addresses.parse(message.sender)),
        sender=message.sender,
        sender_address=message.sender_address,
        to=message.to,
        cc=message.cc,
        bcc=message.bcc,
        reply_to=message.reply_to,
        subject=message.subject,
        tags=message.tags,
        content=content,
        size=message.size,
        created_at=timezone.now(),
    )
