"""What the headers of the rate limit say is what happens (Q9), whatever comes when.

The algorithm runs under a clock of the test, on Valkey and in its stand-in alike.
"""

import re
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any
from uuid import uuid1

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from queensmtp import ratelimit, valkey
from queensmtp.ratelimit import Limit, Verdict

START = 1_800_000_000_000_000
LIMITS = st.builds(
    Limit,
    requests=st.integers(1, 40),
    per_seconds=st.integers(1, 5),
    burst=st.integers(1, 60),
)
# From many at once to long silence, in microseconds.
GAPS = st.lists(
    st.one_of(st.just(0), st.integers(0, 50_000), st.integers(0, 3_000_000)),
    min_size=1,
    max_size=150,
)
POLICY = re.compile(r'"(\w+)";q=(\d+);w=(\d+)')
BY_EXAMPLES = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Clock:
    def __init__(self) -> None:
        self.now = START


@pytest.fixture(params=["valkey", "local"])
def clock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    """A clock that only the test moves, for the script or for the stand-in."""
    clock = Clock()
    monkeypatch.setattr("django.conf.settings.WEB_PROCESSES", 1)
    if request.param == "local":
        monkeypatch.setattr(valkey, "ask", _down)
        monkeypatch.setattr("time.monotonic_ns", lambda: clock.now * 1000)
    else:
        told = ratelimit.GCRA.replace("redis.call('TIME')", "{ARGV[4], ARGV[5]}")
        assert told != ratelimit.GCRA
        monkeypatch.setattr(valkey, "ask", lambda question: question(_Under(clock, told)))
    yield clock


def _down(question: object) -> object:
    raise valkey.ValkeyDown


class _Under:
    """Valkey, asked by a script that takes the time from us."""

    def __init__(self, clock: Clock, script: str) -> None:
        self.clock, self.script = clock, script

    def eval(self, script: str, *args: Any) -> Any:
        seconds, microseconds = divmod(self.clock.now, 1_000_000)
        return valkey.client().eval(self.script, *args, seconds, microseconds)


def play(bucket: str, clock: Clock, limit: Limit, gaps: list[int]) -> Iterator[Verdict]:
    for now in accumulate(gaps, initial=START):
        clock.now = now
        yield ratelimit.take(bucket, limit)


def passing(bucket: str, limit: Limit, attempts: int) -> int:
    return sum(ratelimit.take(bucket, limit).allowed for _ in range(attempts))


@BY_EXAMPLES
@given(limit=LIMITS, gaps=GAPS)
def test_no_window_sees_more_than_the_policy_says(
    clock: Clock, limit: Limit, gaps: list[int]
) -> None:
    bucket = f"test:{uuid1()}"
    passed = []
    for verdict in play(bucket, clock, limit, gaps):
        if verdict.allowed:
            passed.append(clock.now)
    policies = [(int(q), int(w)) for _, q, w in POLICY.findall(limit.policy())]

    assert len(policies) == 2
    for quota, seconds in policies:
        for begin in passed:
            window = [at for at in passed if begin <= at <= begin + seconds * 1_000_000]
            assert len(window) <= quota


@BY_EXAMPLES
@given(limit=LIMITS, gaps=GAPS)
def test_as_many_as_remain_pass_at_once_and_no_more(
    clock: Clock, limit: Limit, gaps: list[int]
) -> None:
    bucket = f"test:{uuid1()}"
    *_, verdict = play(bucket, clock, limit, gaps)
    told = int(verdict.headers()["ratelimit-remaining"])

    assert f'"burst";r={told};' in verdict.headers()["RateLimit"]
    assert passing(bucket, limit, told + 1) == told


@BY_EXAMPLES
@given(limit=LIMITS, gaps=GAPS)
def test_within_t_seconds_no_more_than_r_pass(clock: Clock, limit: Limit, gaps: list[int]) -> None:
    bucket = f"test:{uuid1()}"
    *_, verdict = play(bucket, clock, limit, gaps)
    remaining, seconds = re.findall(r"r=(\d+);t=(\d+)", verdict.headers()["RateLimit"])[0]
    clock.now += max(0, int(seconds) * 1_000_000 - 1)

    assert passing(bucket, limit, int(remaining) + 1) == int(remaining)


@BY_EXAMPLES
@given(limit=LIMITS, gaps=GAPS)
def test_retry_after_is_late_enough_and_no_second_too_late(
    clock: Clock, limit: Limit, gaps: list[int]
) -> None:
    bucket = f"test:{uuid1()}"
    refused = next((one for one in play(bucket, clock, limit, gaps) if not one.allowed), None)
    if refused is None:
        return
    at, told = clock.now, int(refused.headers()["Retry-After"])

    assert told - 1 < refused.retry_after_seconds <= told or told == 1
    clock.now = at + round(refused.retry_after_seconds * 1_000_000) - 1
    assert not ratelimit.take(bucket, limit).allowed
    clock.now = at + told * 1_000_000
    assert ratelimit.take(bucket, limit).allowed


@BY_EXAMPLES
@given(limit=LIMITS, gaps=GAPS)
def test_after_the_reset_the_whole_burst_is_there_again(
    clock: Clock, limit: Limit, gaps: list[int]
) -> None:
    bucket = f"test:{uuid1()}"
    *_, last = play(bucket, clock, limit, gaps)
    clock.now += int(last.headers()["ratelimit-reset"]) * 1_000_000

    assert passing(bucket, limit, limit.burst + 1) == int(last.headers()["ratelimit-limit"])


def test_the_policy_of_the_default_names_its_burst() -> None:
    policy = Limit(requests=100, per_seconds=1, burst=500).policy()
    assert policy == '"burst";q=600;w=1, "sustained";q=6500;w=60'


@pytest.mark.parametrize(
    ("limit", "most"),
    [
        (Limit(3, 1, 3), lambda seconds: 3 + 3 * seconds),
        (Limit(70_000, 1, 1), lambda seconds: 1 + 70_000 * seconds),
        (Limit(7, 3, 2), lambda seconds: 2 + 7 * seconds // 3),
    ],
)
def test_a_rate_that_no_microsecond_divides_is_rounded_to_the_safe_side(
    limit: Limit, most: Callable[[int], int]
) -> None:
    for seconds in (1, 10, 3_600):
        assert limit.burst + seconds * 1_000_000 // limit.interval <= most(seconds)
        assert limit.most_in(seconds) == most(seconds)
