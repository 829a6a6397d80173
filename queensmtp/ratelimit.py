"""Generic cell rate algorithm, on Valkey's clock, with a local stand-in when it is down.

A limit is a bucket of `burst` requests that fills again at an even rate. So what holds in every
window, wherever it begins, is `Limit.most_in`; the headers say that and no less (docs/adr/0068).

The stand-in gives each process its share of the rate, so that losing Valkey never means
unlimited (`threats.md` L4).
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

import redis
from django.conf import settings

from queensmtp import valkey
from queensmtp.together import Question, Step

# KEYS[1]: the bucket. ARGV: emission interval, burst × interval (both in microseconds), cost.
# Returns allowed (0/1), microseconds until a retry may succeed, and until full again.
GCRA = """
local now = redis.call('TIME')
local now_us = now[1] * 1000000 + now[2]
local interval, tolerance, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = tonumber(redis.call('GET', KEYS[1]) or now_us)
if tat < now_us then tat = now_us end
local new_tat = tat + interval * cost
local wait = new_tat - tolerance - now_us
if wait > 0 then
  return {0, wait, tat - now_us}
end
local kept_ms = math.ceil((new_tat - now_us) / 1000) + 1000
redis.call('SET', KEYS[1], string.format('%.0f', new_tat), 'PX', kept_ms)
return {1, 0, new_tat - now_us}
"""


LONG_WINDOW = 60


@dataclass(frozen=True, slots=True)
class Limit:
    """`requests` each `per_seconds`, and `burst` at once when nothing came for a while."""

    requests: int
    per_seconds: int
    burst: int

    @property
    def interval(self) -> int:
        """Microseconds from one request to the next; rounded up, so that none is too many."""
        return -(-self.per_seconds * 1_000_000 // self.requests)

    def most_in(self, seconds: int) -> int:
        """No window of so many seconds sees more than this, wherever it begins."""
        return self.burst + seconds * self.requests // self.per_seconds

    def policy(self) -> str:
        """Two windows: a short one, and one so long that the burst weighs little in it."""
        short, long = self.per_seconds, LONG_WINDOW * self.per_seconds
        return (
            f'"burst";q={self.most_in(short)};w={short}, '
            f'"sustained";q={self.most_in(long)};w={long}'
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass, and what to tell the caller."""

    allowed: bool
    limit: Limit
    remaining: int
    retry_after_seconds: float
    # Until one more than `remaining` may come, and until the whole burst may.
    next_seconds: float
    reset_seconds: float

    def headers(self) -> dict[str, str]:
        """The IETF draft's fields and the lower-case ones that Resend's users read.

        `t` is the time in which no more than `r` can pass (draft 11, section 4.1.2), so it is
        rounded down; what a client waits for is rounded up.
        """
        headers = {
            "RateLimit-Policy": self.limit.policy(),
            "RateLimit": f'"burst";r={self.remaining};t={int(self.next_seconds)}',
            "ratelimit-limit": str(self.limit.burst),
            "ratelimit-remaining": str(self.remaining),
            "ratelimit-reset": str(_whole_seconds(self.reset_seconds)),
        }
        if not self.allowed:
            headers["Retry-After"] = str(max(1, _whole_seconds(self.retry_after_seconds)))
        return headers


# Allowed (0/1), microseconds until a retry may succeed, until full again, and from one request to
# the next.
Answer = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Taking:
    """Times are whole microseconds, so that no rounding refuses the last request of a burst."""

    bucket: str
    limit: Limit
    cost: int

    @property
    def tolerance(self) -> int:
        return self.limit.interval * self.limit.burst

    def script(self) -> tuple[str, int, str, int, int, int]:
        return GCRA, 1, f"rate:{self.bucket}", self.limit.interval, self.tolerance, self.cost

    def verdict(self, answer: Answer, *, behind: int = 0) -> Verdict:
        """The answer in words; `behind` of it was taken by those who came after this one."""
        allowed, wait, reset, interval = answer
        reset -= behind * interval
        free = max(0, self.tolerance - reset)
        return Verdict(
            allowed=bool(allowed),
            limit=self.limit,
            remaining=free // interval,
            retry_after_seconds=wait / 1_000_000,
            next_seconds=(interval - free % interval) / 1_000_000,
            reset_seconds=reset / 1_000_000,
        )


def take(bucket: str, limit: Limit, *, cost: int = 1) -> Verdict:
    """Take `cost` from a bucket; never raises when Valkey is down."""
    return _VERDICT.ask(_Taking(bucket, limit, cost))


def _take_one(taking: _Taking) -> Verdict:
    try:
        allowed, wait, reset = valkey.ask(lambda client: client.eval(*taking.script()))
    except valkey.ValkeyDown:
        return taking.verdict(_local_answer(taking))
    return taking.verdict((int(allowed), int(wait), int(reset), taking.limit.interval))


def _take_for_many(takings: Sequence[_Taking]) -> list[Verdict]:
    """One round trip: each bucket is asked once for all who take from it. Where there is not
    enough for all, they ask again in their order, each for itself."""
    places = defaultdict(list)
    for at, taking in enumerate(takings):
        places[taking.bucket, taking.limit].append(at)
    wholes = [
        _Taking(bucket, limit, sum(takings[at].cost for at in those))
        for (bucket, limit), those in places.items()
    ]
    verdicts: dict[int, Verdict] = {}
    again = []
    for whole, those, answer in zip(wholes, places.values(), _ask(wholes), strict=True):
        if not answer[0] and len(those) > 1:
            again += those
            continue
        behind = whole.cost
        for at in those:
            behind -= takings[at].cost
            verdicts[at] = takings[at].verdict(answer, behind=behind)
    for at, answer in zip(again, _ask([takings[at] for at in again]), strict=True):
        verdicts[at] = takings[at].verdict(answer)
    return [verdicts[at] for at in range(len(takings))]


def _ask(takings: Sequence[_Taking]) -> list[Answer]:
    if not takings:
        return []

    def ask(client: redis.Redis) -> list[Sequence[int]]:
        with client.pipeline(transaction=False) as pipeline:
            for taking in takings:
                pipeline.eval(*taking.script())
            answers: list[Sequence[int]] = pipeline.execute()
            return answers

    try:
        answers = valkey.ask(ask)
    except valkey.ValkeyDown:
        return [_local_answer(taking) for taking in takings]
    return [
        (int(allowed), int(wait), int(reset), taking.limit.interval)
        for taking, (allowed, wait, reset) in zip(takings, answers, strict=True)
    ]


def _local_answer(taking: _Taking) -> Answer:
    interval = taking.limit.interval * settings.WEB_PROCESSES
    return (*_local.take(taking.bucket, interval, taking.tolerance, taking.cost), interval)


_VERDICT = Question(Step.RATE, _take_one, _take_for_many)


class _LocalBuckets:
    """The same algorithm in this process; bounded, forgetting the oldest."""

    def __init__(self, size: int = 10_000) -> None:
        self._arrivals: dict[str, int] = {}
        self._lock = Lock()
        self._size = size

    def take(self, bucket: str, interval: int, tolerance: int, cost: int) -> tuple[int, int, int]:
        now = time.monotonic_ns() // 1000
        with self._lock:
            arrival = max(self._arrivals.pop(bucket, now), now)
            new = arrival + interval * cost
            wait = new - tolerance - now
            self._arrivals[bucket] = arrival if wait > 0 else new
            if len(self._arrivals) > self._size:
                self._arrivals.pop(next(iter(self._arrivals)))
        if wait > 0:
            return 0, wait, arrival - now
        return 1, 0, new - now


_local = _LocalBuckets()


def _whole_seconds(seconds: float) -> int:
    return int(-(-seconds // 1))
