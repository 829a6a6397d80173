"""How fast a destination takes mail: slower by itself when it defers, and back again. Pure.

Additive increase, multiplicative decrease, as TCP does it: a destination that puts us off is
left alone for a while, then gets half of the deliveries at once that it had, and one more each
time it takes what comes. What concerns one mailbox (full, unknown, greylisted by its owner) says
nothing about the destination.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sending.courier import Outcome
from sending.states import State

# A delivery that takes longer than this keeps a connection from the others.
SLOW_SECONDS = 20.0
FIRST_REST_SECONDS = 2.0
LONGEST_REST_SECONDS = 600.0
# RFC 3463: x.1.x and x.2.x are about the address and the mailbox.
OF_ONE_MAILBOX = ("4.1.", "4.2.")


@dataclass(frozen=True, slots=True)
class Pace:
    """How many deliveries at once a destination gets, and until when it gets none."""

    allowed: int
    failure_count: int = 0
    resting_until: datetime | None = None

    def is_resting(self, now: datetime) -> bool:
        return self.resting_until is not None and now < self.resting_until


@dataclass(slots=True)
class Tally:
    """What became of some deliveries to one destination."""

    taken_count: int = 0
    put_off_count: int = 0
    slow_count: int = 0
    reply: str = ""

    @property
    def is_bad(self) -> bool:
        return self.put_off_count > self.taken_count or self.slow_count > 0


def tally(outcomes: Iterable[Outcome]) -> Tally:
    counted = Tally()
    for one in outcomes:
        _count(counted, one)
    return counted


def _count(counted: Tally, one: Outcome) -> None:
    if one.proof.connect_seconds + one.proof.transfer_seconds > SLOW_SECONDS:
        counted.slow_count += 1
        counted.reply = counted.reply or "It took too long to answer."
    if one.state == State.DEFERRED and not one.enhanced.startswith(OF_ONE_MAILBOX):
        counted.put_off_count += 1
        counted.reply = one.reply
    elif one.state in (State.DELIVERED, State.SENT, State.BOUNCED, State.DEFERRED):
        # A refusal for good is an answer too: the destination is well.
        counted.taken_count += 1


def after(pace: Pace, tally: Tally, *, most: int, now: datetime) -> Pace | None:
    """The pace from now on; None when the destination is back to its full share of `most`."""
    if tally.put_off_count > tally.taken_count:
        failure_count = pace.failure_count + 1
        return Pace(max(1, pace.allowed // 2), failure_count, now + _rest(failure_count))
    if tally.slow_count:
        return Pace(max(1, pace.allowed // 2), pace.failure_count, pace.resting_until)
    if pace.allowed + 1 >= most:
        return None
    return Pace(pace.allowed + 1)


def _rest(failure_count: int) -> timedelta:
    doublings = min(failure_count - 1, 20)
    return timedelta(seconds=min(FIRST_REST_SECONDS * 2**doublings, LONGEST_REST_SECONDS))
