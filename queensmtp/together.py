"""Runs calls that wait at the same time together, so that what each asks is asked once for all.

Each call runs in a greenlet of its own and reads as if it were alone. Where it asks a `Question`
it is put aside; when all of them are aside or done, the question that comes first is asked for
everybody who waits for it, and they go on. So a group of requests makes the round trips, and the
commit, of one. Outside a group, and inside a transaction, a question is asked alone. Nothing waits
for company: a group is whatever had come when the one before was done (docs/adr/0060).
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar, Union

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from greenlet import getcurrent, greenlet

from queensmtp import hot

logger = logging.getLogger(__name__)
Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
Call = Callable[[], Any]
AnyFuture = Union["Future[Any]", "asyncio.Future[Any]"]
Job = tuple[Call, AnyFuture]


class Step(IntEnum):
    """In which order questions are asked, so that who asks more of them is waited for."""

    KEY = 1
    REPLAY = 2
    RATE = 3
    STORE = 4


class Alone(Enum):
    """Asks for itself."""

    ALONE = auto()


ALONE = Alone.ALONE
# A lock of one account must not keep the mail of all others waiting, nor hold a thread for ever.
DESK_WAITS_MILLISECONDS, OTHERS_WAIT_MILLISECONDS = 250, 10_000
# So many may find a lock held, one after the other; the others of their group do not try.
LEFT_AT_MOST = 2


class Elsewhere(BaseException):
    """This call is to be run anew, whole, where nobody has to wait for it.

    No error, so that nothing on its way out answers it."""


# In the thread of a desk, whichever of its greenlets runs.
_here = threading.local()


def is_at_desk() -> bool:
    return getattr(_here, "is_desk", False)


def wait_briefly(connection: BaseDatabaseWrapper, **_: Any) -> None:
    """When a connection is made: how long it waits for what somebody else has locked."""
    milliseconds = DESK_WAITS_MILLISECONDS if is_at_desk() else OTHERS_WAIT_MILLISECONDS
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {milliseconds}")


def leave() -> None:
    """Called before what may take long, or after what did: others wait at the same desk."""
    if is_at_desk():
        raise Elsewhere


@dataclass(frozen=True, eq=False, slots=True)
class Question(Generic[Asked, Answer]):
    """What can be asked for one, and for many at once: an answer for each in their order, or
    ALONE where there is none.

    When `for_many` fails, it did nothing, and everybody asks alone, so that a poison hurts only
    who brought it.
    """

    step: Step
    for_one: Callable[[Asked], Answer]
    for_many: Callable[[Sequence[Asked]], Sequence[Answer | Alone]]

    def ask(self, asked: Asked) -> Answer:
        member = getcurrent()
        if not isinstance(member, _Member) or connection.in_atomic_block:
            return self.for_one(asked)
        member.asks = (self, asked)
        answer: Answer = member.group.hub.switch()
        return answer


def afterwards(name: object, work: Call) -> None:
    """Do this once for the group when all of it is answered; at once outside a group."""
    member = getcurrent()
    if isinstance(member, _Member) and not connection.in_atomic_block:
        member.group.later.setdefault(name, work)
    else:
        work()


@dataclass(frozen=True, slots=True)
class Done:
    """How a call ended, and who waits for it."""

    future: AnyFuture
    answer: Any = None
    error: BaseException | None = None


HandOver = Callable[[Sequence[Done]], object]


def settle(many: Sequence[Done]) -> None:
    """Tell those who still wait."""
    for one in many:
        if one.future.done():
            continue
        if one.error is not None:
            one.future.set_exception(one.error)
        else:
            one.future.set_result(one.answer)


class _Member(greenlet):
    """One call of a group."""

    def __init__(self, group: "_Group", job: Job) -> None:
        super().__init__(self._work)
        self.group = group
        self.call, self.future = job
        self.asks: tuple[Question[Any, Any], Any] | None = None

    def _work(self) -> None:
        try:
            done = Done(self.future, answer=self.call())
        except BaseException as error:  # noqa: BLE001 - whoever waits for it hears of it
            done = Done(self.future, error=error)
        self.group.done.append(done)

    def told(self, answer: Any) -> None:
        self.asks = None
        self.switch(answer)

    def failed(self, error: BaseException) -> None:
        self.asks = None
        self.throw(error)


class _Group:
    def __init__(self, jobs: Sequence[Job], hand_over: "HandOver") -> None:
        self.hub = getcurrent()
        self.later: dict[object, Call] = {}
        self.done: list[Done] = []
        self.members = [_Member(self, job) for job in jobs]
        self._hand_over = hand_over

    def run(self) -> None:
        for member in self.members:
            member.switch()
        while asking := [one for one in self.members if one.asks is not None]:
            self._tell()
            self._answer(asking)
        self._tell()
        for work in self.later.values():
            work()

    def _tell(self) -> None:
        """Nobody who is done waits for the others."""
        if self.done:
            done, self.done = self.done, []
            self._hand_over(done)

    def _answer(self, asking: Sequence[_Member]) -> None:
        first = min((one.asks[0] for one in asking if one.asks), key=lambda one: one.step)
        those = [one for one in asking if one.asks and one.asks[0] is first]
        asked = [one.asks[1] for one in those if one.asks]
        left = 0
        for member, (is_known, ask) in zip(those, _answers(first, asked), strict=True):
            try:
                # Each of those may have waited: the rest would, one after the other. What is
                # known was done, and must not be done anew.
                answer = ask() if is_known or left < LEFT_AT_MOST else _raise(Elsewhere())
            except Elsewhere as error:
                left += 1
                member.failed(error)
            except Exception as error:  # noqa: BLE001 - it is the member's own
                member.failed(error)
            else:
                member.told(answer)


def _answers(question: Question[Any, Any], asked: Sequence[Any]) -> Sequence[tuple[bool, Call]]:
    """How each gets its answer, and whether it is known. If the database was lost nobody asks
    again: it may be done."""
    alone = [(False, partial(question.for_one, one)) for one in asked]
    if len(asked) > 1:
        try:
            answers = question.for_many(asked)
            return [
                one if answer is ALONE else (True, partial(_same, answer))
                for one, answer in zip(alone, answers, strict=True)
            ]
        except Exception as error:  # noqa: BLE001 - each asks again, or is told
            if hot.may_be_done(error):
                return [(True, partial(_raise, error))] * len(asked)
            logger.warning("group_asks_one_by_one", extra={"error": type(error).__name__})
    return alone


def _same(answer: Any) -> Any:
    return answer


def _raise(error: BaseException) -> Any:
    raise error


def run(calls: Sequence[Call]) -> list["Future[Any]"]:
    """Run the calls as one group in this thread; how each ended."""
    futures: list[Future[Any]] = [Future() for _ in calls]
    _run(list(zip(calls, futures, strict=True)), settle)
    return futures


def _run(jobs: Sequence[Job], hand_over: HandOver) -> None:
    """Whatever happens, nobody is left waiting."""
    try:
        _Group(jobs, hand_over).run()
    except BaseException as error:
        hand_over([Done(future, error=error) for _, future in jobs])
        raise


class Desk:
    """A thread that takes what waits, as one group after the other."""

    def __init__(self, name: str, *, at_once: int, hand_over: HandOver = settle) -> None:
        self._name, self._at_once, self._hand_over = name, at_once, hand_over
        self._waiting: SimpleQueue[Job] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def submit(self, call: Call, future: AnyFuture) -> None:
        """Have it done soon, with whatever else waits then."""
        self._waiting.put((call, future))
        if self._thread is None or not self._thread.is_alive():
            self._open()

    def _open(self) -> None:
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()

    def _work(self) -> None:
        _here.is_desk = True
        while True:
            try:
                _run(self._take(), self._hand_over)
            except BaseException:
                # Those of the group have been told; others wait already.
                logger.exception("group_failed")

    def _take(self) -> list[Job]:
        taken = [self._waiting.get()]
        try:
            while len(taken) < self._at_once:
                taken.append(self._waiting.get_nowait())
        except Empty:
            pass
        # Whoever gave up meanwhile, such as a client who left, is not begun.
        return [job for job in taken if not job[1].cancelled()]
