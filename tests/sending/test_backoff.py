from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from sending import backoff
from sending.backoff import Schedule

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
SCHEDULE = Schedule(first_seconds=10, longest_seconds=1_000, final_age_seconds=5_000)


def test_the_pause_doubles_up_to_the_longest() -> None:
    pauses = [backoff.pause(n, schedule=SCHEDULE, chance=0.5) for n in (1, 2, 3, 7, 8, 50)]
    assert [pause.total_seconds() for pause in pauses] == [10, 20, 40, 640, 1_000, 1_000]


@given(attempt=st.integers(-5, 10**9), chance=st.floats(0, 1, exclude_max=True))
def test_the_jitter_stays_between_a_half_and_one_and_a_half(attempt: int, chance: float) -> None:
    middle = backoff.pause(attempt, schedule=SCHEDULE, chance=0.5)
    assert middle / 2 <= backoff.pause(attempt, schedule=SCHEDULE, chance=chance) <= middle * 1.5


def next_at(now: datetime) -> datetime | None:
    return backoff.next_attempt_at(
        now=now, accepted_at=NOON, attempt=8, schedule=SCHEDULE, chance=0.5
    )


def test_the_last_attempt_falls_on_the_final_age() -> None:
    final = NOON + timedelta(seconds=5_000)
    assert next_at(NOON) == NOON + timedelta(seconds=1_000)
    assert next_at(final - timedelta(seconds=10)) == final
    assert next_at(final) is None
