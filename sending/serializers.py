"""Wire shapes of e-mails (wire contract 2.2)."""

from collections.abc import Iterable
from typing import Any

from queensmtp import crypto
from sending import states, submissions
from sending.models import Message, Recipient
from sending.submissions import Sealed


def listed(message: Message, recipients: Iterable[Recipient]) -> dict[str, Any]:
    """An e-mail as an item of a list: without bodies."""
    return {
        "id": str(message.pk),
        "message_id": f"<{message.message_id}>",
        "from": message.sender,
        "to": message.to,
        "cc": message.cc,
        "bcc": message.bcc,
        "reply_to": message.reply_to,
        "subject": message.subject,
        "created_at": message.created_at.isoformat(),
        "scheduled_at": message.scheduled_at.isoformat() if message.scheduled_at else None,
        "last_event": states.last_event(one.outcome for one in recipients),
    }


def whole(message: Message, recipients: Iterable[Recipient]) -> dict[str, Any]:
    """An e-mail by itself, with its bodies as long as they are kept."""
    content = content_of(message)
    return {
        "object": "email",
        **listed(message, recipients),
        "html": content.html if content else None,
        "text": content.text if content else None,
        "tags": message.tags,
        "topic_id": None,
    }


def content_of(message: Message) -> Sealed | None:
    """The stored bodies, headers and attachments, decrypted; None when they are gone."""
    if message.content is None:
        return None
    sealed = crypto.decrypt(
        bytes(message.content),
        account_id=message.account_id,
        table="sending_message",
        column="content",
        row_id=str(message.pk),
    )
    return submissions.opened(sealed)
