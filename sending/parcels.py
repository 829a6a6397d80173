"""What a worker carries: a stored message, built and signed, for one recipient."""

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Lock
from typing import Any
from uuid import UUID

from django.conf import settings

from apikeys.models import LeakedKey
from domains import actions as domains
from domains.dkim_keys import SigningKey
from domains.models import DkimKey, Domain
from queensmtp import addresses
from queensmtp.addresses import Mailbox
from queensmtp.crypto import CannotDecrypt
from queensmtp.errors import PermanentFailure, TemporaryFailure
from sending import (
    courier,
    dkim,
    mime,
    personal,
    return_paths,
    sandbox,
    strict_transport,
    suppressed,
    transports,
)
from sending.courier import Outcome, Proof
from sending.links import Linker, Place
from sending.mime import Content
from sending.models import Message
from sending.personal import Wishes
from sending.queue import Claimed
from sending.serializers import content_of
from sending.states import State
from sending.submissions import Sealed
from sending.suppressed import Stops

# A rotated DKIM key is taken up within this time; loading one costs sixty signatures.
KEYS_KEPT_SECONDS = 60.0
OUR_FAULT = "The message could not be prepared; the fault is ours and is in our log."
STOPPED = "Waiting: the domain that this is from is not verified any more."
HELD = "Held: the API key that sent this was reported as leaked, and revoked."
# Contents in the memory of one worker at once.
BYTES_AT_ONCE = 64 * 1024 * 1024
# Reasons of a TemporaryFailure for which a destination is left alone for a while.
OF_THE_DESTINATION = ("unreachable", "dns", "mta_sts")
NOBODY = Proof("", "", "", 0.0, 0.0)

Headers = Sequence[tuple[str, str]]
# The signed bytes, and the signatures for the timeline.
Signed = tuple[bytes, list[dict[str, str]]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message for one claimed recipient, who has a return path of his own."""

    message: Message
    claimed: Sequence[Claimed]
    letter: "Letter"
    # On the monotonic clock: begun any later, the delivery could outlive its lease.
    begin_by: float
    # Its key leaked: it waits, and fails at its final age if nobody lets it go.
    is_held: bool = False
    # Its domain lost its proof, or was removed, after it was accepted.
    is_stopped: bool = False
    # What stops mail to any recipient of the batch.
    stops: Stops = field(default_factory=dict)

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


class Suppressed(Exception):
    """The recipient gets no mail, or none of this kind."""


class Letter:
    """A message that is opened and signed once for all its recipients of a batch."""

    def __init__(self, message: Message, keys: Sequence[SigningKey], *, recipients: int) -> None:
        self.message = message
        self.keys = keys
        self._lock = Lock()
        self._left = recipients
        self._signed: Signed | None = None

    def signed(self, content: Content) -> Signed:
        """The bytes; let go with the last recipient, since a batch may hold large ones."""
        with self._lock:
            signed = self._signed or _signed(content, self.keys)
            self._left -= 1
            self._signed = signed if self._left > 0 else None
        return signed


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
    """A parcel for each claim, and what they need: a few queries for all.

    The contents are not read yet: `load` does it.
    """
    counts = Counter(one.message_id for one in claimed)
    messages = Message.objects.defer("content").in_bulk(counts)
    keys = _ring.of_domains(message.domain_id for message in messages.values())
    leaked = _leaked({message.key_id for message in messages.values()})
    stopped = _stopped({message.domain_id for message in messages.values()})
    stops = suppressed.find_stops((one.account_id, one.address) for one in claimed)
    letters = {
        message.pk: Letter(message, keys[message.domain_id], recipients=counts[message.pk])
        for message in messages.values()
    }
    return [
        Parcel(
            letter.message,
            [one],
            letter,
            begin_by,
            is_held=letter.message.key_id in leaked,
            is_stopped=letter.message.domain_id in stopped,
            stops=stops,
        )
        # Ids are time-ordered: the oldest first.
        for one in sorted(claimed, key=lambda one: one.id)
        for letter in [letters[one.message_id]]
    ]


def load(parcels: Sequence[Parcel]) -> tuple[list[Parcel], list[Parcel]]:
    """Read the contents of as many parcels as a worker has room for; these, and the surplus."""
    size, wanted = 0, set()
    loaded: list[Parcel] = []
    for parcel in parcels:
        size += parcel.message.size if parcel.message.pk not in wanted else 0
        if loaded and size > BYTES_AT_ONCE:
            break
        loaded.append(parcel)
        wanted.add(parcel.message.pk)
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
        sealed = opened(parcel.message)
        headers = sealed.headers
        _refuse_held(parcel)
        _refuse_suppressed(parcel, sealed)
        content = content_to_send(parcel.message, sealed)
        signed, signatures = _written(parcel, content, _wishes(sealed))
        outcomes = _deliver(parcel, content, signed)
        is_destinations_word = not _is_for_sandbox(parcel)
    except Suppressed as stopped:
        outcomes, signatures = _all(parcel, State.SUPPRESSED, str(stopped)), []
        is_destinations_word = False
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
    if parcel.is_stopped:
        raise TemporaryFailure(STOPPED, reason="domain_not_verified")


def _refuse_suppressed(parcel: Parcel, sealed: Sealed) -> None:
    """Asked again: the address may have bounced since the message was accepted."""
    (one,) = parcel.claimed
    stop = suppressed.stop_for(
        parcel.stops,
        account_id=one.account_id,
        address=one.address,
        is_marketing=sealed.marketing,
    )
    if stop is not None:
        raise Suppressed(stop.words)


def _written(parcel: Parcel, content: Content, wishes: Wishes) -> Signed:
    """The bytes for this recipient: those of all the others, unless something is personal."""
    if not wishes.are_personal:
        return parcel.letter.signed(content)
    (one,) = parcel.claimed
    linker = Linker(settings.LINKS_URL, settings.LINK_KEYS, Place(one.account_id, one.id))
    return _signed(personal.for_recipient(content, wishes, linker), parcel.letter.keys)


def _wishes(sealed: Sealed) -> Wishes:
    return Wishes(
        opens=sealed.open_tracking or False,
        clicks=sealed.click_tracking or False,
        marketing=sealed.marketing,
    )


def _all(parcel: Parcel, state: State, reason: str) -> list[Outcome]:
    return [Outcome(one.address, state, 0, "", reason, NOBODY) for one in parcel.claimed]


def _deliver(parcel: Parcel, content: Content, signed: bytes) -> list[Outcome]:
    recipients = [one.address for one in parcel.claimed]
    if _is_for_sandbox(parcel):
        return [sandbox.outcome(one.address, attempt=one.attempt) for one in parcel.claimed]
    return courier.configured().deliver(
        strict_transport.configured().bind(
            parcel.domain, transports.configured().routes(parcel.domain)
        ),
        return_path=return_path(parcel.claimed[0]),
        recipients=recipients,
        message=signed,
        smtputf8=_needs_smtputf8(content, recipients),
    )


def _is_for_sandbox(parcel: Parcel) -> bool:
    (one,) = parcel.claimed
    return sandbox.holds(environment=parcel.message.environment, address=one.address)


def return_path(one: Claimed) -> str:
    """Where reports of this recipient go."""
    return return_paths.address_for(one.id, keys=settings.LINK_KEYS, host=settings.RETURN_PATH_HOST)


def opened(message: Message) -> Sealed:
    sealed = content_of(message)
    if sealed is None:
        raise PermanentFailure("The contents of the message are no longer kept.", reason="gone")
    return sealed


def content_to_send(message: Message, stored: Sealed) -> Content:
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


def _signed(content: Content, keys: Sequence[SigningKey]) -> Signed:
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


def _stopped(domain_ids: set[UUID]) -> frozenset[UUID]:
    """Those that may send no more."""
    found = Domain.objects.filter(pk__in=domain_ids, can_send=False)
    return frozenset(found.values_list("pk", flat=True))


def _load_keys(domain_ids: set[UUID]) -> dict[UUID, list[SigningKey]]:
    rows: Any = DkimKey.objects.signing().filter(domain_id__in=domain_ids)
    found: dict[UUID, list[SigningKey]] = defaultdict(list)
    for row in rows.select_related("domain").order_by("-algorithm"):
        try:
            found[row.domain_id].append(domains.load_key(row, domain_name=row.domain.name))
        except CannotDecrypt:
            # The domain signs with what is left, or waits; the others of the batch go on.
            logger.exception("dkim_key_does_not_open", extra={"dkim_key_id": str(row.pk)})
    return found
