from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sending import moments
from sending.moments import MomentRefused

# A Thursday.
NOW = datetime(2026, 11, 26, 4, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00"),
        ("2026-12-24T18:00:00.123Z", "2026-12-24T18:00:00.123"),
        ("2026-12-24T18:00:00+02:00", "2026-12-24T16:00:00"),
        ("2026-12-24 18:00:00.582248+00", "2026-12-24T18:00:00.582248"),
        ("in 1 min", "2026-11-26T04:01:00"),
        ("In an hour", "2026-11-26T05:00:00"),
        ("in 1 hour and 30 minutes", "2026-11-26T05:30:00"),
        ("in 2 days, 3 hours", "2026-11-28T07:00:00"),
        ("in 90s", "2026-11-26T04:01:30"),
        ("tomorrow", "2026-11-27T04:00:00"),
        ("tomorrow at 9am", "2026-11-27T09:00:00"),
        ("Tomorrow at 12 AM", "2026-11-27T00:00:00"),
        ("today at 17:30", "2026-11-26T17:30:00"),
        ("at noon", "2026-11-26T12:00:00"),
        ("9:00 Europe/Berlin", "2026-11-26T08:00:00"),
        ("9am +02:00", "2026-11-26T07:00:00"),
        ("Friday at 3pm ET", "2026-11-27T20:00:00"),
        ("thursday at 3am", "2026-12-03T03:00:00"),
        ("next thursday at 9am", "2026-12-03T09:00:00"),
    ],
)
def test_reads_iso_8601_and_plain_english(text: str, moment: str) -> None:
    assert moments.read(text, now=NOW) == datetime.fromisoformat(moment).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "in", "in 1", "in 1 hour and", "in and", "in -1 hours", "in ١ hour"),
        *("2026-12-24", "2026-12-24T18:00:00", "2026-02-30T18:00:00Z", "1766596800"),
        *("friday", "at 9", "at 25:00", "13pm", "0am", "9am in Berlin", "9am ../etc/passwd"),
        *("9am Nowhere/Land", "9am +99:00", "tomorrow at", "in 1 hour\r\nX: y", "in " * 200),
    ],
)
def test_refuses_what_cannot_be_read_in_one_way(text: str) -> None:
    with pytest.raises(MomentRefused) as refused:
        moments.read(text, now=NOW)
    assert refused.value.code == "invalid_time"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-11-26T03:58:00Z", "in_the_past"),
        ("today at 1am", "in_the_past"),
        ("in 31 days", "too_far_ahead"),
        ("in 999999 weeks", "too_far_ahead"),
        ("2026-12-26T04:00:01Z", "too_far_ahead"),
    ],
)
def test_refuses_a_time_that_no_mail_waits_for(text: str, code: str) -> None:
    with pytest.raises(MomentRefused) as refused:
        moments.read(text, now=NOW)
    assert refused.value.code == code


def test_a_clock_that_is_a_little_behind_is_no_fault() -> None:
    assert moments.read("2026-11-26T03:59:30Z", now=NOW) < NOW
    assert moments.read("2026-12-26T04:00:00Z", now=NOW) == NOW + timedelta(days=30)


@given(st.text(alphabet="in tomorwfrday0123456789:apm+-/ETUCZ.,", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        moment = moments.read(text, now=NOW)
    except MomentRefused:
        return
    assert NOW - timedelta(minutes=1) <= moment <= NOW + timedelta(days=30)
