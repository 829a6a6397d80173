from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from apikeys import sparkline

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 30)


def test_a_day_stands_in_its_place_and_shows_both_counts() -> None:
    counts = {date(2026, 11, 3): {"allowed": 30, "refused": 9, "failed": 1}}
    chart = sparkline.of_days(counts, since=FIRST, until=LAST)
    day = chart.days[2]
    assert (day.x, day.allowed_count, day.refused_count) == (20, 30, 10)
    assert (chart.width, chart.allowed_count, chart.refused_count) == (300, 30, 10)
    # 30 and 10 of 40, on 48 rows less the two that a single request takes.
    assert (day.allowed_height, day.refused_height) == (34, 12)


def test_no_use_is_an_empty_chart() -> None:
    assert sparkline.of_days({}, since=FIRST, until=LAST).is_empty


@given(
    st.dictionaries(
        st.integers(0, 29).map(lambda days: FIRST + timedelta(days=days)),
        st.fixed_dictionaries({"allowed": st.integers(0, 10**9), "refused": st.integers(0, 10**9)}),
    )
)
def test_no_bar_leaves_the_chart_and_none_that_counts_is_unseen(
    counts: dict[date, dict[str, int]],
) -> None:
    for day in sparkline.of_days(counts, since=FIRST, until=LAST).days:
        assert (day.allowed_height > 0) == (day.allowed_count > 0)
        assert (day.refused_height > 0) == (day.refused_count > 0)
        assert day.refused_y >= -sparkline.LEAST
