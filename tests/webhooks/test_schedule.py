from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhooks.schedule import (
    DELIVERED,
    FAILED,
    Verdict,
    after_answer,
    after_failure,
    read_retry_after,
)

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
PAUSES = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000]


def answered(status: int, *, retry_after: str | None = None, try_number: int = 1) -> Verdict:
    return after_answer(
        status=status,
        retry_after=retry_after,
        try_number=try_number,
        now=NOW,
        pauses=PAUSES,
        random=lambda: 0.5,
    )


def pause_of(verdict: Verdict) -> float:
    assert verdict.due_at is not None
    return (verdict.due_at - NOW).total_seconds()


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success(status: int) -> None:
    assert answered(status) == DELIVERED


@pytest.mark.parametrize("status", [100, 301, 302, 307, 400, 401, 404, 429, 500, 503, 599])
def test_any_other_answer_is_tried_again(status: int) -> None:
    assert answered(status).state == "pending"


def test_410_asks_for_no_more() -> None:
    assert answered(410) == FAILED


def test_the_pauses_are_those_of_the_schedule_and_end() -> None:
    verdicts = [
        after_failure(try_number=count, now=NOW, pauses=PAUSES, random=lambda: 0.5)
        for count in range(1, 9)
    ]
    assert [pause_of(verdict) for verdict in verdicts[:7]] == PAUSES
    assert verdicts[7] == FAILED


@given(random=st.floats(0, 1), count=st.integers(1, 7))
def test_a_pause_is_jittered_by_a_tenth(random: float, count: int) -> None:
    verdict = after_failure(try_number=count, now=NOW, pauses=PAUSES, random=lambda: random)
    assert 0.9 <= pause_of(verdict) / PAUSES[count - 1] <= 1.1001


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [
        (None, 5),
        ("", 5),
        ("1", 5),
        ("120", 120),
        ("1000000000", 36_000),
        ("9" * 5000, 36_000),
        ("-120", 5),
        ("1e9", 5),
        ("١٢٠", 5),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 5),
        ("Sat, 21 Nov 2026 22:01:00 GMT", 60),
        ("Sat, 21 Nov 2026 22:01:00 -0000", 60),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 36_000),
        ("soon", 5),
    ],
)
def test_retry_after_is_honoured_and_clamped(retry_after: str | None, pause: float) -> None:
    assert pause_of(answered(429, retry_after=retry_after)) == pause


def test_retry_after_cannot_add_an_attempt() -> None:
    assert answered(503, retry_after="5", try_number=8) == FAILED


@given(value=st.text(max_size=60))
def test_no_retry_after_breaks_the_reader(value: str) -> None:
    assert 0 <= read_retry_after(value, now=NOW, at_most=100) <= 100


def test_the_whole_schedule_takes_more_than_a_day() -> None:
    assert timedelta(seconds=sum(PAUSES)) > timedelta(days=1)
