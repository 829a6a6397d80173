"""Generic cell rate algorithm, on Valkey's clock, with a local stand-in when it is down.

The stand-in gives each process its share of the rate, so that losing Valkey never means
unlimited (`threats.md` L4).
"""

import time
from dataclasses import dataclass
from threading import Lock

from django.conf import settings

from queensmtp import valkey

# KEYS[1]: the bucket. ARGV: emission interval, burst × interval (both in microseconds), cost.
# Returns allowed (0/1), remaining, microseconds until a retry may succeed, until full again.
GCRA = """
local now = redis.call('TIME')
local now_us = now[1] * 1000000 + now[2]
local interval, tolerance, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local tat = tonumber(redis.call('GET', KEYS[1]) or now_us)
if tat < now_us then tat = now_us end
local new_tat = tat + interval * cost
local wait = new_tat - tolerance - now_us
if wait > 0 then
  return {0, math.floor((tolerance - (tat - now_us)) / interval), wait, tat - now_us}
end
local kept_ms = math.ceil((new_tat - now_us) / 1000) + 1000
redis.call('SET', KEYS[1], string.format('%.0f', new_tat), 'PX', kept_ms)
return {1, math.floor((tolerance - (new_tat - now_us)) / interval), 0, new_tat - now_us}
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """`requests` each `per_seconds`, of which `burst` may come at once."""

    requests: int
    per_seconds: int
    burst: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass, and what to tell the caller."""

    allowed: bool
    limit: Limit
    remaining: int
    retry_after_seconds: float
    reset_seconds: float

    def headers(self) -> dict[str, str]:
        """The IETF draft's fields and the lower-case ones that Resend's users read."""
        limit, reset = self.limit, _whole_seconds(self.reset_seconds)
        headers = {
            "RateLimit-Policy": f'"key";q={limit.requests};w={limit.per_seconds}',
            "RateLimit": f'"key";r={self.remaining};t={reset}',
            "ratelimit-limit": str(limit.burst),
            "ratelimit-remaining": str(self.remaining),
            "ratelimit-reset": str(reset),
        }
        if not self.allowed:
            headers["Retry-After"] = str(max(1, _whole_seconds(self.retry_after_seconds)))
        return headers


def take(bucket: str, limit: Limit, *, cost: int = 1) -> Verdict:
    """Take `cost` from a bucket; never raises when Valkey is down.

    Times are whole microseconds, so that no rounding refuses the last request of a burst.
    """
    interval = max(1, limit.per_seconds * 1_000_000 // limit.requests)
    tolerance = interval * limit.burst
    try:
        answer = valkey.ask(
            lambda client: client.eval(GCRA, 1, f"rate:{bucket}", interval, tolerance, cost)
        )
    except valkey.ValkeyDown:
        answer = _local.take(bucket, interval * settings.WEB_PROCESSES, tolerance, cost)
    allowed, remaining, wait, reset = (float(part) for part in answer)
    return Verdict(
        allowed=bool(allowed),
        limit=limit,
        remaining=max(0, int(remaining)),
        retry_after_seconds=wait / 1_000_000,
        reset_seconds=reset / 1_000_000,
    )


class _LocalBuckets:
    """The same algorithm in this process; bounded, forgetting the oldest."""

    def __init__(self, size: int = 10_000) -> None:
        self._arrivals: dict[str, int] = {}
        self._lock = Lock()
        self._size = size

    def take(
        self, bucket: str, interval: int, tolerance: int, cost: int
    ) -> tuple[float, float, float, float]:
        now = time.monotonic_ns() // 1000
        with self._lock:
            arrival = max(self._arrivals.pop(bucket, now), now)
            new = arrival + interval * cost
            wait = new - tolerance - now
            self._arrivals[bucket] = arrival if wait > 0 else new
            if len(self._arrivals) > self._size:
                self._arrivals.pop(next(iter(self._arrivals)))
        if wait > 0:
            return 0, (tolerance - (arrival - now)) / interval, wait, arrival - now
        return 1, (tolerance - (new - now)) / interval, 0, new - now


_local = _LocalBuckets()


def _whole_seconds(seconds: float) -> int:
    return int(-(-seconds // 1))
