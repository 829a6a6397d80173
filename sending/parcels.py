"""What a worker carries: a stored message, built and signed, for one recipient."""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from django.conf import settings

from apikeys.models import LeakedKey
from domains.models import Domain
from queensmtp import addresses
from queensmtp.errors import PermanentFailure, TemporaryFailure
from sending import (
    courier,
    feedback_ids,
    return_paths,
    routes,
    sandbox,
    strict_transport,
    suppressed,
    transports,
)
from sending.contents import Content
from sending.courier import Outcome, Proof
from sending.deadlines import Deadline
from sending.key_ring import KeyRing as KeyRing
from sending.letters import Headers, Letter
from sending.models import Message
from sending.queue import Claimed
from sending.states import State
from sending.submissions import Sealed
from sending.suppressed import Stops

OUR_FAULT = "The message could not be prepared; the fault is ours and is in our log."
STOPPED = "Waiting: the domain that this is from is not verified any more."
HELD = "Held: the API key that sent this was reported as leaked, and revoked."
# Contents in the memory of one worker at once.
BYTES_AT_ONCE = 64 * 1024 * 1024
# Reasons of a TemporaryFailure for which a destination is left alone for a while.
OF_THE_DESTINATION = ("unreachable", "dns", "mta_sts")
NOBODY = Proof("", "", "", 0.0, 0.0)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message for one claimed recipient, who has a return path of his own."""

    message: Message
    claimed: Sequence[Claimed]
    letter: Letter
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


_ring = KeyRing()


def pack(claimed: Sequence[Claimed], *, begin_by: float) -> list[Parcel]:
    """A parcel for each claim, and what they need: a few queries for all.

    The contents are not read yet: `load` does it.
    """
    counts = Counter(one.message_id for one in claimed)
    messages = Message.objects.defer("content").in_bulk(counts)
    domains = Domain.objects.in_bulk({message.domain_id for message in messages.values()})
    keys = _ring.of_domains(domains)
    leaked = _leaked({message.key_id for message in messages.values()})
    stops = suppressed.find_stops((one.account_id, one.address) for one in claimed)
    letters = {
        message.pk: Letter(
            message,
            domains[message.domain_id],
            keys[message.domain_id],
            recipients=counts[message.pk],
        )
        for message in messages.values()
    }
    return [
        Parcel(
            letter.message,
            [one],
            letter,
            begin_by,
            is_held=letter.message.key_id in leaked,
            is_stopped=not letter.domain.can_send,
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
        sealed = parcel.letter.opened()
        headers = sealed.headers
        _refuse_held(parcel)
        _refuse_suppressed(parcel, sealed)
        content, (signed, signatures) = parcel.letter.written(sealed, parcel.claimed[0])
        demands_tls = sealed.enforces_tls or parcel.letter.domain.enforces_tls
        outcomes = _deliver(parcel, content, signed, demands_tls=demands_tls)
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
    finally:
        parcel.letter.let_go()
    return Carried(parcel, outcomes, signatures, began_at, headers, is_destinations_word)


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


def _all(parcel: Parcel, state: State, reason: str) -> list[Outcome]:
    return [Outcome(one.address, state, 0, "", reason, NOBODY) for one in parcel.claimed]


def _deliver(
    parcel: Parcel, content: Content, signed: bytes, *, demands_tls: bool
) -> list[Outcome]:
    recipients = [one.address for one in parcel.claimed]
    if _is_for_sandbox(parcel):
        return [sandbox.outcome(one.address, attempt=one.attempt) for one in parcel.claimed]
    carrier = courier.configured()
    # Begun before DNS is asked: what that takes is taken from the delivery, not from the lease.
    deadline = Deadline.after(carrier.delivery_seconds)
    found = strict_transport.configured().bind(
        parcel.domain, transports.configured().routes(parcel.domain)
    )
    return carrier.deliver(
        routes.demanding_tls(found) if demands_tls else found,
        deadline=deadline,
        return_path=_return_path(parcel),
        recipients=recipients,
        message=feedback_ids.header_for(parcel.claimed[0].id, keys=settings.LINK_KEYS) + signed,
        smtputf8=_needs_smtputf8(content, recipients),
    )


def _is_for_sandbox(parcel: Parcel) -> bool:
    (one,) = parcel.claimed
    return sandbox.holds(environment=parcel.message.environment, address=one.address)


def _return_path(parcel: Parcel) -> str:
    """Where reports of this recipient go: through the sender's own domain, once DNS leads on."""
    host = parcel.letter.domain.own_return_path or settings.RETURN_PATH_HOST
    return return_paths.address_for(parcel.claimed[0].id, keys=settings.LINK_KEYS, host=host)


def _needs_smtputf8(content: Content, recipients: Sequence[str]) -> bool:
    named = [content.sender, *content.to, *content.cc, *content.reply_to]
    return addresses.needs_smtputf8([*named, *map(addresses.parse_address, recipients)])


def _leaked(key_ids: set[UUID | None]) -> frozenset[UUID]:
    """Those whose mail is held. Read after the claim: what leaks later may still leave, as may
    what was handed on already."""
    leaked = LeakedKey.objects.filter(key_id__in=key_ids - {None})
    return frozenset(leaked.values_list("key_id", flat=True))
