"""The sandbox: mail that never leaves, and addresses that behave as their word says.

Everything before and after the dialogue with a server is the real pipeline, so that an
integrator sees the states, events and webhooks of real mail without a mailbox.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django.conf import settings

from queensmtp.ids import new_id
from sending.courier import Outcome, Proof
from sending.models import DeliveryEvent
from sending.states import State

ENVIRONMENT = "development"
WORDS = ("delivered", "bounced", "complained", "deferred")
KEPT = "kept in the sandbox: a development key sends nothing to the outside"
HERE = Proof("sandbox", "", "", 0.0, 0.0)


def is_address(address: str) -> bool:
    """An address of the sandbox's own domain, for whichever key."""
    return address.endswith(f"@{settings.SANDBOX_DOMAIN}")


def holds(*, environment: str, address: str) -> bool:
    """Whether a message to this address stays here."""
    return environment == ENVIRONMENT or is_address(address)


def outcome(address: str, *, attempt: int) -> Outcome:
    """What a server of the address's kind would have answered."""
    if not is_address(address):
        return Outcome(address, State.DELIVERED, 250, "2.0.0", KEPT, HERE)
    match _word(address):
        case "delivered" | "complained":
            return Outcome(address, State.DELIVERED, 250, "2.0.0", "kept in the sandbox", HERE)
        case "deferred" if attempt == 1:
            text = "the sandbox puts this address off, once"
            return Outcome(address, State.DEFERRED, 451, "4.2.1", text, HERE)
        case "deferred":
            return Outcome(address, State.DELIVERED, 250, "2.0.0", "kept in the sandbox", HERE)
        case "bounced":
            return Outcome(address, State.BOUNCED, 550, "5.1.1", "the sandbox refuses this", HERE)
    text = f"the sandbox knows {', '.join(WORDS)} at {settings.SANDBOX_DOMAIN}"
    return Outcome(address, State.BOUNCED, 550, "5.1.1", text, HERE)


def complaints(
    told: Sequence[DeliveryEvent], addresses: Mapping[UUID, str], *, now: datetime
) -> list[DeliveryEvent]:
    """What the owners of the delivered mail complain of, a moment later."""
    return [
        DeliveryEvent(
            id=new_id(),
            account_id=one.account_id,
            message_id=one.message_id,
            recipient_id=one.recipient_id,
            type="email.complained",
            created_at=now,
            data={"state": State.DELIVERED, "reply": "the sandbox complains of what it gets"},
        )
        for one in told
        if one.type == "email.delivered" and _complains(addresses[one.recipient_id])
    ]


def _complains(address: str) -> bool:
    return is_address(address) and _word(address) == "complained"


def _word(address: str) -> str:
    """`bounced+order-17@…` is an address of its own that bounces too."""
    return address.partition("@")[0].partition("+")[0].lower()
