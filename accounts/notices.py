"""E-mails to the members of an account: told with the change they tell of, sent a moment later.

They leave by `EMAIL_HOST` and not through the queue of messages, so that a queue which is held up
or a domain which failed can still be told of. A worker that dies between sending and recording
sends the same notice again, with the same Message-ID.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection, transaction
from django.utils import timezone

from accounts import invitations
from accounts.models import Invitation, Notice
from accounts.roles import Right, roles_with
from queensmtp import bell
from queensmtp.redaction import without_secrets

SEND_TASK = "accounts.tasks.send_notices"
SUBJECT_LIMIT = 200
RETRY_SECONDS = (60, 300, 1_800, 7_200, 21_600, 43_200)
SMTP_SECONDS = 15

# RFC 3676 4.3: what follows "-- " on a line of its own is a signature.
FOOTER = "\n\n-- \nYou are told because you are a member of {account} at {console}.\n"


def tell(
    *, account_id: UUID, to: Right, kind: str, subject: str, text: str, once: str = ""
) -> None:
    """Tell the members who hold a right, in the caller's transaction and tenant.

    With `once`, a second notice of the same kind about the same thing changes nothing.
    """
    notice = Notice(
        account_id=account_id,
        to_right=to.value,
        kind=kind,
        once=once,
        subject=_one_line(without_secrets(subject)),
        text=without_secrets(text),
    )
    Notice.objects.bulk_create([notice], ignore_conflicts=True)
    bell.ring(SEND_TASK, queue="send")


def invite(*, invitation: Invitation) -> None:
    """Send an invitation, in the caller's transaction and tenant."""
    account = invitation.account
    Notice.objects.create(
        account=account,
        invitation=invitation,
        kind="member.invited",
        subject=_one_line(f"Invitation to {account.name}"),
        text=invitations.letter_without_link(invitation),
    )
    bell.ring(SEND_TASK, queue="send")


def send_due(*, limit: int = 100) -> int:
    """Send what waits, of all accounts; how many notices were tried."""
    tried = 0
    while tried < limit and _send_next(timezone.now()):
        tried += 1
    return tried


@transaction.atomic
def _send_next(now: datetime) -> bool:
    notice = (
        Notice.objects.due(now)
        .select_related("account", "invitation")
        .select_for_update(skip_locked=True, of=("self",))
        .order_by("due_at")
        .first()
    )
    if notice is None:
        return False
    notice.attempt_count += 1
    if notice.invitation and not notice.invitation.stands(now):
        notice.finished_at, notice.was_sent = now, False
        notice.save(update_fields=["attempt_count", "finished_at", "was_sent"])
        return True
    try:
        _mail(notice)
    except OSError:
        _try_later(notice, now)
    else:
        notice.finished_at, notice.was_sent = now, True
    notice.save(update_fields=["attempt_count", "due_at", "finished_at", "was_sent"])
    return True


def _try_later(notice: Notice, now: datetime) -> None:
    # smtplib's errors and a refused connection are all OSErrors, and any of them may pass.
    if notice.attempt_count > len(RETRY_SECONDS):
        notice.finished_at, notice.was_sent = now, False
    else:
        notice.due_at = now + timedelta(seconds=RETRY_SECONDS[notice.attempt_count - 1])


def _mail(notice: Notice) -> None:
    addresses = _readers(notice)
    smtp = get_connection(timeout=SMTP_SECONDS)
    smtp.send_messages([_message(notice, address, smtp) for address in addresses])


def _message(notice: Notice, address: str, smtp: BaseEmailBackend) -> EmailMessage:
    host = settings.DEFAULT_FROM_EMAIL.rsplit("@", 1)[-1].rstrip("> ")
    return EmailMessage(
        subject=notice.subject,
        body=notice.text.rstrip() + _ending(notice),
        to=[address],
        headers={"Message-ID": f"<{notice.pk}@{host}>", "Auto-Submitted": "auto-generated"},
        connection=smtp,
    )


def _ending(notice: Notice) -> str:
    if notice.invitation:
        return invitations.link_and_footer(notice.invitation)
    return FOOTER.format(account=_one_line(notice.account.name), console=settings.CONSOLE_URL)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:SUBJECT_LIMIT]


def _readers(notice: Notice) -> list[str]:
    if notice.invitation:
        return [notice.invitation.email]
    return _addresses(notice.account_id, roles_with(Right(notice.to_right)))


def _addresses(account_id: UUID, roles: Sequence[str]) -> list[str]:
    """Asked for at the last moment: who left the account is told no more."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT addresses_of_members(%s, %s)", [account_id, list(roles)])
        return [address for (address,) in cursor.fetchall()]
