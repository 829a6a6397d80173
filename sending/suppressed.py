"""Recipients who get no mail: those whom the accept statement found, and those found at delivery.

The accept statement only stores the state, so that it costs no more than before; a worker then
takes them from here and tells of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import connection

from contacts.models import Origin
from queensmtp.addresses import key_of
from queensmtp.ids import new_id
from sending.models import DeliveryEvent
from sending.states import State

# MATERIALIZED: a plan that ran `untold` twice would take more than it returns.
TAKE_UNTOLD = """
WITH untold AS MATERIALIZED (
    SELECT id FROM sending_recipient WHERE state = 'suppressed' AND finished_at IS NULL
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)
UPDATE sending_recipient r SET finished_at = %s FROM untold WHERE r.id = untold.id
RETURNING r.id, r.account_id, r.message_id, r.address
"""

STOPS = """
SELECT s.account_id, s.email, s.marketing_only, s.origin
FROM unnest(%s::uuid[], %s::text[]) AS one (account_id, mailbox)
JOIN contacts_suppression s ON s.account_id = one.account_id AND s.email = one.mailbox
WHERE s.removed_at IS NULL AND (s.expires_at IS NULL OR s.expires_at > now())
"""

WORDS = {
    Origin.BOUNCE: "mail to it bounced",
    Origin.COMPLAINT: "its owner marked a message as spam",
    Origin.MANUAL: "it was added by hand",
    Origin.UNSUBSCRIBE: "its owner unsubscribed from marketing mail",
}


@dataclass(frozen=True, slots=True)
class Untold:
    """A recipient who was suppressed when the message was accepted."""

    id: UUID
    account_id: UUID
    message_id: UUID
    address: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a mailbox gets no mail, or no marketing mail."""

    origin: Origin
    marketing_only: bool

    @property
    def words(self) -> str:
        return f"The address is suppressed: {WORDS[self.origin]}."


# By account and mailbox; what stops all mail comes first.
Stops = dict[tuple[UUID, str], list[Stop]]


def take_untold(*, limit: int, now: datetime) -> list[Untold]:
    """Take those of whom nobody has told yet, of all accounts (role worker)."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE_UNTOLD, [limit, now])
        return [Untold(*row) for row in cursor.fetchall()]


def find_stops(mailboxes: Iterable[tuple[UUID, str]]) -> Stops:
    """What stops mail to these accounts' recipients, with one query; normal addresses."""
    wanted = {(account_id, key_of(address)) for account_id, address in mailboxes}
    account_ids, keys = [one for one, _ in wanted], [one for _, one in wanted]
    found: Stops = {}
    with connection.cursor() as cursor:
        cursor.execute(STOPS, [account_ids, keys])
        for account_id, mailbox, marketing_only, origin in cursor.fetchall():
            stop = Stop(Origin(origin), marketing_only)
            found.setdefault((account_id, mailbox), []).append(stop)
    for stops in found.values():
        stops.sort(key=lambda stop: stop.marketing_only)
    return found


def stop_for(stops: Stops, *, account_id: UUID, address: str, is_marketing: bool) -> Stop | None:
    """Why this message does not go to this address; None when it may."""
    for stop in stops.get((account_id, key_of(address)), []):
        if is_marketing or not stop.marketing_only:
            return stop
    return None


def events_of(taken: Sequence[Untold], stops: Stops, *, now: datetime) -> list[DeliveryEvent]:
    """One `email.suppressed` for each."""
    return [_event(one, stops.get((one.account_id, key_of(one.address)), []), now) for one in taken]


def _event(one: Untold, stops: Sequence[Stop], now: datetime) -> DeliveryEvent:
    # None when it was taken back since.
    words = stops[0].words if stops else "The address was suppressed."
    data = {"state": State.SUPPRESSED, "reply": words}
    if stops:
        data["origin"] = stops[0].origin
    return DeliveryEvent(
        id=new_id(),
        account_id=one.account_id,
        message_id=one.message_id,
        recipient_id=one.id,
        type="email.suppressed",
        created_at=now,
        data=data,
    )
