"""What a worker carries: a stored message, built and signed, for its recipients at one place."""

import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Any
from uuid import UUID

from django.conf import settings

from apikeys.models import LeakedKey
from domains import actions as domains
from domains.dkim_keys import SigningKey
from domains.models import DkimKey
from queensmtp import addresses
from queensmtp.addresses import Mailbox
from queensmtp.crypto import CannotDecrypt
from queensmtp.errors import PermanentFailure, TemporaryFailure
from sending import courier, dkim, mime, transports
from sending.courier import Outcome, Proof
from sending.mime import Content
from sending.models import Message
from sending.queue import Claimed
from sending.serializers import content_of
from sending.states import State

SANDBOX_ENVIRONMENT = "development"
# A rotated DKIM key is taken up within this time; loading one costs sixty signatures.
KEYS_KEPT_SECONDS = 60.0
OUR_FAULT = "The message could not be prepared; the fault is ours and is in our log."
HELD = "Held: the API key that sent this was reported as leaked, and revoked."
# Contents in the memory of one worker at once.
BYTES_AT_ONCE = 64 * 1024 * 1024
# Reasons of a TemporaryFailure for which a destination is left alone for a while.
OF_THE_DESTINATION = ("unreachable", "dns")
NOBODY = Proof("", "", "", 0.0, 0.0)

Headers = Sequence[tuple[str, str]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message for the claimed recipients of one destination domain."""

    message: Message
    claimed: Sequence[Claimed]
    keys: Sequence[SigningKey]
    # On the monotonic clock: begun any later, the delivery could outlive its lease.
    begin_by: float
    # Its key leaked: it waits, and fails at its final age if nobody lets it go.
    is_held: bool = False

    @property
    def domain(self) -> str:
        return self.claimed[0].domain


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of a parcel, recipient by recipient; nothing when it was not begun."""

    parcel: Parcel
    outcomes: Sequence[Outcome]
    signatures: Sequence[dict[str, str]]
    began_at: datetime
    # The message's own custom headers, which webhooks repeat.
    headers: Headers = ()
    # Whether the outcomes say something of the destination, rather than of us.
    is_destinations_word: bool = True

    @property
    def was_begun(self) -> bool:
        return bool(self.outcomes)


class KeyRing:
    """The loaded DKIM keys of this process."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: dict[UUID, tuple[float, list[SigningKey]]] = {}

    def of_domains(self, domain_ids: Iterable[UUID]) -> dict[UUID, list[SigningKey]]:
        """The signing keys of each domain, read together where they are not kept."""
        now, wanted = time.monotonic(), set(domain_ids)
        with self._lock:
            kept = {
                domain_id: keys
                for domain_id in wanted
                if domain_id in self._kept
                for until, keys in [self._kept[domain_id]]
                if now < until
            }
            missing = wanted - kept.keys()
            loaded = _load_keys(missing) if missing else {}
            for domain_id in missing:
                keys = loaded.get(domain_id, [])
                self._kept[domain_id] = (now + KEYS_KEPT_SECONDS, keys)
                kept[domain_id] = keys
        return kept


_ring = KeyRing()


def pack(claimed: Sequence[Claimed], *, begin_by: float) -> list[Parcel]:
    """Group claims by message and destination, and read what they need: a few queries for all.

    The contents are not read yet: `load` does it.
    """
    groups: dict[tuple[UUID, str], list[Claimed]] = defaultdict(list)
    # Ids are time-ordered: the oldest first.
    for one in sorted(claimed, key=lambda one: one.id):
        groups[one.message_id, one.domain].append(one)
    messages = Message.objects.defer("content").in_bulk({message_id for message_id, _ in groups})
    keys = _ring.of_domains(message.domain_id for message in messages.values())
    leaked = _leaked({message.key_id for message in messages.values()})
    return [
        Parcel(
            message,
            group,
            keys[message.domain_id],
            begin_by,
            is_held=message.key_id in leaked,
        )
        for (message_id, _), group in groups.items()
        for message in [messages[message_id]]
    ]


def load(parcels: Sequence[Parcel]) -> tuple[list[Parcel], list[Parcel]]:
    """Read the contents of as many parcels as a worker has room for; these, and the surplus."""
    size = 0
    loaded: list[Parcel] = []
    for parcel in parcels:
        size += parcel.message.size
        if loaded and size > BYTES_AT_ONCE:
            break
        loaded.append(parcel)
    wanted = {parcel.message.pk for parcel in loaded}
    contents = dict(Message.objects.filter(pk__in=wanted).values_list("pk", "content"))
    for parcel in loaded:
        parcel.message.content = contents.get(parcel.message.pk)
    return loaded, list(parcels[len(loaded) :])


def carry(parcel: Parcel) -> Carried:
    """Build, sign and deliver. Touches no database, so it may run in any thread."""
    began_at = datetime.now(UTC)
    if time.monotonic() > parcel.begin_by:
        return Carried(parcel, [], [], began_at)
    headers: Headers = ()
    is_destinations_word = True
    try:
        content = _content(parcel.message)
        headers = content.headers
        _refuse_held(parcel)
        signed, signatures = _signed(content, parcel.keys)
        outcomes = _deliver(parcel, content, signed)
    except PermanentFailure as failure:
        outcomes, signatures = _all(parcel, State.FAILED, str(failure)), []
    except TemporaryFailure as failure:
        outcomes, signatures = _all(parcel, State.DEFERRED, str(failure)), []
        is_destinations_word = failure.reason in OF_THE_DESTINATION
    except Exception:
        # A bug of ours, on this message: it must not stop the others of the batch.
        logger.exception("parcel_failed", extra={"email_id": str(parcel.message.pk)})
        outcomes, signatures = _all(parcel, State.DEFERRED, OUR_FAULT), []
        is_destinations_word = False
    return Carried(parcel, outcomes, signatures, began_at, headers, is_destinations_word)


def headers_of(message: Message) -> Headers:
    """The custom headers of a message; none when its contents are gone or do not open."""
    try:
        content = content_of(message)
    except CannotDecrypt:
        return ()
    return content.headers if content else ()


def _refuse_held(parcel: Parcel) -> None:
    if parcel.is_held:
        raise TemporaryFailure(HELD, reason="key_leaked")


def _all(parcel: Parcel, state: State, reason: str) -> list[Outcome]:
    return [Outcome(one.address, state, 0, "", reason, NOBODY) for one in parcel.claimed]


def _deliver(parcel: Parcel, content: Content, signed: bytes) -> list[Outcome]:
    recipients = [one.address for one in parcel.claimed]
    if parcel.message.environment == SANDBOX_ENVIRONMENT:
        text = "kept in the sandbox: a development key sends nothing to the outside"
        return [Outcome(one, State.DELIVERED, 250, "2.0.0", text, NOBODY) for one in recipients]
    return courier.configured().deliver(
        transports.configured().routes(parcel.domain),
        return_path=return_path(parcel.message),
        recipients=recipients,
        message=signed,
        smtputf8=_needs_smtputf8(content, recipients),
    )


def return_path(message: Message) -> str:
    """Where bounces go."""
    return f"bounce+{message.pk.hex}@{settings.RETURN_PATH_HOST}"


def _content(message: Message) -> Content:
    stored = content_of(message)
    if stored is None:
        raise PermanentFailure("The contents of the message are no longer kept.", reason="gone")
    return Content(
        sender=addresses.parse(message.sender),
        to=_read(message.to),
        cc=_read(message.cc),
        reply_to=_read(message.reply_to),
        subject=message.subject,
        message_id=message.message_id,
        date=message.created_at,
        text=stored.text,
        html=stored.html,
        headers=stored.headers,
        attachments=stored.attachments,
    )


def _signed(content: Content, keys: Sequence[SigningKey]) -> tuple[bytes, list[dict[str, str]]]:
    if not keys:
        raise TemporaryFailure("The domain has no DKIM key that signs.", reason="no_dkim_key")
    built = mime.build(content)
    signature = dkim.sign(built, keys=keys, at=int(time.time()))
    return signature + built, [
        {"d": key.domain, "s": key.selector, "a": key.algorithm} for key in keys
    ]


def _read(texts: Sequence[str] | None) -> tuple[Mailbox, ...]:
    return tuple(addresses.parse(text) for text in texts or ())


def _needs_smtputf8(content: Content, recipients: Sequence[str]) -> bool:
    named = [content.sender, *content.to, *content.cc, *content.reply_to]
    return addresses.needs_smtputf8([*named, *map(addresses.parse_address, recipients)])


def _leaked(key_ids: set[UUID | None]) -> frozenset[UUID]:
    """Those whose mail is held. Read after the claim: what leaks later may still leave, as may
    what was handed on already."""
    leaked = LeakedKey.objects.filter(key_id__in=key_ids - {None})
    return frozenset(leaked.values_list("key_id", flat=True))


def _load_keys(domain_ids: set[UUID]) -> dict[UUID, list[SigningKey]]:
    rows: Any = DkimKey.objects.signing().filter(domain_id__in=domain_ids)
    found: dict[UUID, list[SigningKey]] = defaultdict(list)
    for row in rows.select_related("domain").order_by("selector"):
        try:
            found[row.domain_id].append(domains.load_key(row, domain_name=row.domain.name))
        except CannotDecrypt:
            # The domain signs with what is left, or waits; the others of the batch go on.
            logger.exception("dkim_key_does_not_open", extra={"dkim_key_id": str(row.pk)})
    return found
