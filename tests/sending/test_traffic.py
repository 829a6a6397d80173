"""A destination that puts us off gets less, and its full share again when it is well."""

from datetime import UTC, datetime, timedelta

import pytest

from sending import traffic
from sending.courier import Outcome, Proof
from sending.states import State
from sending.traffic import Pace, Tally

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def outcome(state: State, *, enhanced: str = "", seconds: float = 0.1) -> Outcome:
    proof = Proof("mx", "", "", 0.0, seconds)
    return Outcome("a@b.example", state, 421, enhanced, "busy", proof)


PUT_OFF, TAKEN = Tally(put_off_count=1), Tally(taken_count=1)


def test_being_put_off_halves_what_it_gets_and_gives_it_a_rest() -> None:
    pace = traffic.after(Pace(8), PUT_OFF, most=8, now=NOW)
    assert pace == Pace(4, 1, NOW + timedelta(seconds=2))
    assert pace.is_resting(NOW)
    assert not pace.is_resting(NOW + timedelta(seconds=2))


def test_the_rest_grows_and_is_bounded_and_one_delivery_is_always_allowed() -> None:
    pace = Pace(8)
    rests = []
    for _ in range(40):
        slower = traffic.after(pace, PUT_OFF, most=8, now=NOW)
        assert slower is not None and slower.resting_until is not None
        pace = slower
        rests.append((slower.resting_until - NOW).total_seconds())
    assert rests[:4] == [2, 4, 8, 16]
    assert rests[-1] == traffic.LONGEST_REST_SECONDS
    assert pace.allowed == 1


def test_it_recovers_step_by_step() -> None:
    pace: Pace | None = Pace(1, 5, NOW)
    steps = []
    while pace is not None:
        steps.append(pace.allowed)
        pace = traffic.after(pace, TAKEN, most=4, now=NOW)
    assert steps == [1, 2, 3]


def test_slowness_halves_without_a_rest() -> None:
    slow = traffic.tally([outcome(State.DELIVERED, seconds=traffic.SLOW_SECONDS + 1)])
    assert slow.is_bad
    assert traffic.after(Pace(8), slow, most=8, now=NOW) == Pace(4)


@pytest.mark.parametrize(
    ("enhanced", "is_bad"),
    [("4.7.0", True), ("4.3.2", True), ("", True), ("4.2.2", False), ("4.1.1", False)],
)
def test_only_what_concerns_the_destination_counts(enhanced: str, is_bad: bool) -> None:
    assert traffic.tally([outcome(State.DEFERRED, enhanced=enhanced)]).is_bad == is_bad


def test_a_few_deferrals_among_many_deliveries_are_nothing() -> None:
    mixed = [outcome(State.DEFERRED), *[outcome(State.DELIVERED)] * 3]
    assert not traffic.tally(mixed).is_bad


def test_a_refusal_for_good_is_an_answer() -> None:
    assert not traffic.tally([outcome(State.BOUNCED)]).is_bad
