"""MTA-STS by RFC 8461: what is a policy, and which exchangers it allows."""

from datetime import UTC, datetime, timedelta

import pytest

from sending import mta_sts
from sending.mta_sts import InvalidPolicy, Mode

NOW = datetime(2026, 11, 26, tzinfo=UTC)
GOOD = "\r\n".join(
    [
        "version: STSv1",
        "mode: enforce",
        "mx: mail.bee.example",
        "mx: *.bee.net",
        "max_age: 604800",
        "",
    ]
)


@pytest.mark.parametrize(
    ("texts", "id"),
    [
        (["v=STSv1; id=20260101T000000;"], "20260101T000000"),
        (["v=STSv1;id=a"], "a"),
        (["v=spf1 -all", "v=STSv1; id=a;"], "a"),
        (["v=STSv1; id=a;", "v=STSv1; id=b;"], None),
        (["v=STSv1; id=;"], None),
        (["v=STSv1; id=not-a-word;"], None),
        (["v=STSv2; id=a;"], None),
        ([], None),
    ],
)
def test_there_is_a_policy_where_exactly_one_record_says_so(
    texts: list[str], id: str | None
) -> None:
    assert mta_sts.record_id(texts) == id


def test_reads_a_policy() -> None:
    policy = mta_sts.parse(GOOD, id="a", now=NOW)
    assert policy.mode is Mode.ENFORCE
    assert policy.hosts == ("mail.bee.example", "*.bee.net")
    assert policy.expires_at == NOW + timedelta(weeks=1)


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("mail.bee.example", True),
        ("MAIL.bee.example.", True),
        ("other.bee.example", False),
        ("mx.bee.net", True),
        ("bee.net", False),
        ("a.mx.bee.net", False),
        ("mxbee.net", False),
    ],
)
def test_a_star_stands_for_one_label(host: str, is_allowed: bool) -> None:
    assert mta_sts.parse(GOOD, id="a", now=NOW).allows(host) == is_allowed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html>",
        GOOD.replace("STSv1", "STSv2"),
        GOOD.replace("enforce", "Enforce!"),
        GOOD.replace("604800", "soon"),
        GOOD.replace("604800", "-1"),
        GOOD.replace("604800", "٦٠٤٨٠٠"),
        GOOD.replace("mx: mail.bee.example\r\n", "").replace("mx: *.bee.net\r\n", ""),
        GOOD.replace("*.bee.net", "mx.*.net"),
        GOOD + "version: STSv1\r\n",
    ],
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(InvalidPolicy):
        mta_sts.parse(text, id="a", now=NOW)


def test_no_policy_binds_for_longer_than_a_year() -> None:
    policy = mta_sts.parse(GOOD.replace("604800", "9999999999"), id="a", now=NOW)
    assert policy.expires_at == NOW + timedelta(seconds=mta_sts.LONGEST_AGE_SECONDS)


def test_a_policy_of_mode_none_needs_no_exchanger() -> None:
    text = "version: STSv1\nmode: none\nmax_age: 60"
    assert mta_sts.parse(text, id="a", now=NOW).hosts == ()
