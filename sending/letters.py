"""A stored message on its way to bytes: opened, made personal where it asks for it, and signed."""

import time
from collections.abc import Sequence
from threading import Lock

from django.conf import settings

from domains.dkim_keys import SigningKey
from domains.models import Domain
from queensmtp import addresses
from queensmtp.addresses import Mailbox
from queensmtp.crypto import CannotDecrypt
from queensmtp.errors import PermanentFailure, TemporaryFailure
from sending import dkim, mime, personal
from sending.contents import Content
from sending.links import Linker, Place
from sending.models import Message
from sending.personal import Wishes
from sending.queue import Claimed
from sending.serializers import content_of
from sending.submissions import Sealed

GONE = "The contents of the message are no longer kept."

Headers = Sequence[tuple[str, str]]
# The signed bytes, and the signatures for the timeline.
Signed = tuple[bytes, list[dict[str, str]]]


class Letter:
    """A message that is opened and signed once for all its recipients of a batch."""

    def __init__(
        self, message: Message, domain: Domain, keys: Sequence[SigningKey], *, recipients: int
    ) -> None:
        self.message = message
        self.domain = domain
        self.keys = keys
        self._lock = Lock()
        self._left = recipients
        self._sealed: Sealed | None = None
        self._signed: Signed | None = None

    def opened(self) -> Sealed:
        """The stored part. Raises PermanentFailure when it is no longer kept."""
        with self._lock:
            self._sealed = self._sealed or opened(self.message)
            return self._sealed

    def written(self, sealed: Sealed, one: Claimed) -> tuple[Content, Signed]:
        """What this recipient gets: what all the others do, unless something is personal."""
        content, wishes = content_to_send(self.message, sealed), self._wishes(sealed)
        if wishes.are_personal:
            place, host = Place(one.account_id, one.id), self.domain.own_tracking_host
            linker = Linker(settings.LINKS_URL, settings.LINK_KEYS, place, host)
            content = personal.for_recipient(content, wishes, linker)
            return content, sign(content, self.keys)
        with self._lock:
            self._signed = self._signed or sign(content, self.keys)
            return content, self._signed

    def let_go(self) -> None:
        """Forget the bytes with the last recipient, since a batch may hold large ones."""
        with self._lock:
            self._left -= 1
            if self._left <= 0:
                self._sealed = self._signed = None

    def _wishes(self, sealed: Sealed) -> Wishes:
        """What the message says, else what its domain does."""
        opens, clicks = sealed.open_tracking, sealed.click_tracking
        return Wishes(
            opens=self.domain.open_tracking if opens is None else opens,
            clicks=self.domain.click_tracking if clicks is None else clicks,
            marketing=sealed.marketing,
        )


def headers_of(message: Message) -> Headers:
    """The custom headers of a message; none when its contents are gone or do not open."""
    try:
        content = content_of(message)
    except CannotDecrypt:
        return ()
    return content.headers if content else ()


def opened(message: Message) -> Sealed:
    """The stored part of a message. Raises PermanentFailure when it is no longer kept."""
    sealed = content_of(message)
    if sealed is None:
        raise PermanentFailure(GONE, reason="gone")
    return sealed


def content_to_send(message: Message, stored: Sealed) -> Content:
    """What the bytes are built of."""
    return Content(
        sender=addresses.parse(message.sender),
        to=_read(message.to),
        cc=_read(message.cc),
        reply_to=_read(message.reply_to),
        subject=message.subject,
        message_id=message.message_id,
        date=message.leaves_at,
        text=stored.text,
        html=stored.html,
        headers=stored.headers,
        attachments=stored.attachments,
    )


def sign(content: Content, keys: Sequence[SigningKey]) -> Signed:
    """Build the bytes and put a signature of each key above them."""
    if not keys:
        raise TemporaryFailure("The domain has no DKIM key that signs.", reason="no_dkim_key")
    built = mime.build(content)
    signature = dkim.sign(built, keys=keys, at=int(time.time()))
    return signature + built, [
        {"d": key.domain, "s": key.selector, "a": key.algorithm} for key in keys
    ]


def _read(texts: Sequence[str] | None) -> tuple[Mailbox, ...]:
    return tuple(addresses.parse(text) for text in texts or ())
