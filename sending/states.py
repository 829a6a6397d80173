"""The states of one recipient and the named transitions between them. Pure.

scheduled ─release─▶ queued ─claim─▶ sending ─┬─deliver─▶ delivered   the MX said 250
    │                  ▲               │      ├─relay───▶ sent        a relay said 250
  cancel               │ claim         │      ├─defer───▶ deferred    tried again later
    ▼                  │               │      ├─doubt───▶ in_doubt    may have arrived; retried
 canceled     deferred, in_doubt ◀─────┘      ├─bounce──▶ bounced     refused for good
                                              └─fail────▶ failed      given up, or never possible
"""

from collections.abc import Collection, Iterable
from enum import StrEnum


class State(StrEnum):
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    IN_DOUBT = "in_doubt"
    BOUNCED = "bounced"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    CANCELED = "canceled"


class Reaction(StrEnum):
    """What its reader did with what was delivered. The last is the weightiest."""

    OPENED = "opened"
    CLICKED = "clicked"
    COMPLAINED = "complained"

    @property
    def lighter(self) -> list[str]:
        """Those that this one takes the place of; '' is none so far."""
        every = list(Reaction)
        return ["", *every[: every.index(self)]]


class Transition(StrEnum):
    RELEASE = "release"
    CANCEL = "cancel"
    CLAIM = "claim"
    DELIVER = "deliver"
    RELAY = "relay"
    DEFER = "defer"
    DOUBT = "doubt"
    BOUNCE = "bounce"
    FAIL = "fail"
    SUPPRESS = "suppress"


# What a worker may claim when its time has come.
CLAIMABLE = frozenset({State.QUEUED, State.DEFERRED, State.IN_DOUBT})
# No worker touches these again. A bounce may still arrive for what was sent or delivered.
FINAL = frozenset(
    {
        State.SENT,
        State.DELIVERED,
        State.BOUNCED,
        State.FAILED,
        State.SUPPRESSED,
        State.CANCELED,
    }
)
WAITING = CLAIMABLE | {State.SCHEDULED}
# What is in doubt may have arrived, and is not called back.
CANCELABLE = WAITING - {State.IN_DOUBT}

_TRANSITIONS: dict[Transition, tuple[Collection[State], State]] = {
    Transition.RELEASE: ({State.SCHEDULED}, State.QUEUED),
    Transition.CANCEL: (CANCELABLE, State.CANCELED),
    Transition.CLAIM: (CLAIMABLE, State.SENDING),
    Transition.DELIVER: ({State.SENDING}, State.DELIVERED),
    Transition.RELAY: ({State.SENDING}, State.SENT),
    Transition.DEFER: ({State.SENDING}, State.DEFERRED),
    Transition.DOUBT: ({State.SENDING}, State.IN_DOUBT),
    # A report may come for what was in doubt, too: then it did arrive somewhere.
    Transition.BOUNCE: (
        {State.SENDING, State.IN_DOUBT, State.SENT, State.DELIVERED},
        State.BOUNCED,
    ),
    Transition.FAIL: (WAITING | {State.SENDING}, State.FAILED),
    Transition.SUPPRESS: (WAITING | {State.SENDING}, State.SUPPRESSED),
}

# From the least final to the most; the wire contract has one event for a whole message.
_LAST_EVENTS: dict[State | Reaction, str] = {
    State.SCHEDULED: "scheduled",
    State.QUEUED: "queued",
    State.SENDING: "queued",
    State.IN_DOUBT: "delivery_delayed",
    State.DEFERRED: "delivery_delayed",
    State.SENT: "sent",
    State.DELIVERED: "delivered",
    **{reaction: reaction.value for reaction in Reaction},
    State.SUPPRESSED: "suppressed",
    State.BOUNCED: "bounced",
    State.FAILED: "failed",
    State.CANCELED: "canceled",
}
_FINALITY = {state: place for place, state in enumerate(_LAST_EVENTS)}


class InvalidTransition(Exception):
    """The recipient is not in a state from which this can happen."""


def after(state: State, transition: Transition) -> State:
    """The state that follows. Raises InvalidTransition."""
    sources, target = _TRANSITIONS[transition]
    if state not in sources:
        raise InvalidTransition(f"{transition} cannot happen to what is {state}")
    return target


def sources(transition: Transition) -> list[State]:
    """The states from which it may happen, for the WHERE of the conditional UPDATE."""
    return sorted(_TRANSITIONS[transition][0])


def last_event(outcomes: Iterable[State | Reaction]) -> str:
    """The `last_event` of a message: that of its least final recipient."""
    return _LAST_EVENTS[min(outcomes, key=_FINALITY.__getitem__)]
