import time
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid1

import pytest
import redis

from queensmtp import ratelimit, valkey
from queensmtp.ratelimit import Limit

TWO_A_MINUTE = Limit(requests=2, per_seconds=60, burst=2)


def bucket() -> str:
    return f"test:{uuid1()}"


def _down(question: object) -> object:
    raise valkey.ValkeyDown


@pytest.fixture(params=["valkey", "local"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same promises hold with Valkey and without it."""
    if request.param == "local":
        monkeypatch.setattr(valkey, "ask", _down)


def test_lets_the_burst_pass_and_no_more(either: None, settings: object) -> None:
    settings.WEB_PROCESSES = 1  # type: ignore[attr-defined]
    name = bucket()
    verdicts = [ratelimit.take(name, TWO_A_MINUTE) for _ in range(3)]

    assert [one.allowed for one in verdicts] == [True, True, False]
    assert [one.remaining for one in verdicts] == [1, 0, 0]
    assert 29 < verdicts[2].retry_after_seconds <= 30


def test_buckets_do_not_touch_each_other(either: None) -> None:
    assert all(ratelimit.take(bucket(), TWO_A_MINUTE).allowed for _ in range(10))


def test_no_rounding_refuses_a_burst_that_is_exactly_full(
    monkeypatch: pytest.MonkeyPatch, settings: object
) -> None:
    """A float of microseconds loses its last bit when the clock passes a power of two."""
    settings.WEB_PROCESSES = 2  # type: ignore[attr-defined]
    monkeypatch.setattr(valkey, "ask", _down)
    for nanoseconds in range(0, 60_000_000_000, 123_456_789):
        monkeypatch.setattr(time, "monotonic_ns", lambda past=nanoseconds: 2**34 * 1000 - past)
        monkeypatch.setattr(time, "monotonic", lambda: time.monotonic_ns() / 1e9)
        assert ratelimit.take(bucket(), TWO_A_MINUTE).allowed


def test_passes_again_after_the_time_it_named(either: None, settings: object) -> None:
    settings.WEB_PROCESSES = 1  # type: ignore[attr-defined]
    name, limit = bucket(), Limit(requests=10, per_seconds=1, burst=1)
    ratelimit.take(name, limit)
    refused = ratelimit.take(name, limit)
    time.sleep(refused.retry_after_seconds + 0.01)

    assert not refused.allowed
    assert ratelimit.take(name, limit).allowed


def test_exactly_the_limit_passes_when_many_come_at_once() -> None:
    name, limit = bucket(), Limit(requests=20, per_seconds=600, burst=20)
    with ThreadPoolExecutor(8) as threads:
        verdicts = list(threads.map(lambda _: ratelimit.take(name, limit), range(100)))

    assert sum(one.allowed for one in verdicts) == 20


def test_a_cost_is_taken_whole_or_not_at_all() -> None:
    name, limit = bucket(), Limit(requests=10, per_seconds=600, burst=10)
    assert ratelimit.take(name, limit, cost=7).allowed
    assert not ratelimit.take(name, limit, cost=7).allowed
    assert ratelimit.take(name, limit, cost=3).allowed


def test_without_valkey_each_process_gives_only_its_share(
    monkeypatch: pytest.MonkeyPatch, settings: object
) -> None:
    settings.WEB_PROCESSES = 2  # type: ignore[attr-defined]
    monkeypatch.setattr(valkey, "ask", _down)
    name, limit = bucket(), Limit(requests=10, per_seconds=600, burst=10)

    assert sum(ratelimit.take(name, limit).allowed for _ in range(20)) == 5


def test_a_dead_valkey_is_left_alone_for_a_while() -> None:
    asked = []

    def question(client: redis.Redis) -> None:
        asked.append(1)
        raise redis.ConnectionError

    for _ in range(5):
        with pytest.raises(valkey.ValkeyDown):
            valkey.ask(question)

    assert len(asked) == 1
