"""What a message is made of, before it is bytes. Pure."""

from dataclasses import dataclass
from datetime import datetime

from queensmtp.addresses import Mailbox


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file. With a content id it is an inline image that the html refers to by `cid:`."""

    filename: str
    content_type: str
    data: bytes
    content_id: str = ""


@dataclass(frozen=True, slots=True)
class Content:
    """All that a message is made of. Nothing else reaches its bytes.

    The message id stands without its angle brackets.
    """

    sender: Mailbox
    to: tuple[Mailbox, ...]
    subject: str
    message_id: str
    date: datetime
    text: str | None = None
    html: str | None = None
    cc: tuple[Mailbox, ...] = ()
    reply_to: tuple[Mailbox, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()
