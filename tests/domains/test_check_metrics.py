"""Checks are counted, each once, by what became of it."""

from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from domains import checking, lookups
from domains.actions import remove
from domains.measures import CHECK_SECONDS, CHECKS
from domains.models import Domain
from queensmtp import measures
from queensmtp.metrics import BEYOND, BOUNDS, SUM, bound_of
from queensmtp.tenancy import tenant
from tests.domains.zone import Zone
from tests.factories.cast import Cast, make_domain
from tests.roles import as_role

pytestmark = pytest.mark.django_db

NAME = "hive.example"


@pytest.fixture(autouse=True)
def _nothing_counted(db: None) -> None:
    """Tests that commit leave their counts behind."""
    with as_role("owner"), connection.cursor() as cursor:
        cursor.execute("DELETE FROM queensmtp_measure")


def check_now(domain: Domain) -> None:
    at = timezone.now()
    with tenant(domain.account_id):
        Domain.objects.filter(pk=domain.pk).update(check_due_at=at)
    with as_role("worker"):
        assert checking.check_due(now=at) == 1


def counted(name: str) -> dict[str, float]:
    """From the value of the label to the number."""
    return {label: value for (one, label), value in measures.read().items() if one == name}


def test_a_check_counts_once_by_its_outcome(cast: Cast, zone: Zone) -> None:
    domain = make_domain(cast.hive, NAME, verified=False)
    assert counted(CHECKS) == {}

    check_now(domain)
    assert counted(CHECKS) == {"incomplete": 1}
    zone.publish(domain)
    check_now(domain)
    assert counted(CHECKS) == {"incomplete": 1, "verified": 1}
    zone.broken.add(f"_queensmtp.{NAME}")
    check_now(domain)
    assert counted(CHECKS) == {"incomplete": 1, "verified": 1, "unanswered": 1}


def test_each_check_falls_in_one_bucket_and_adds_its_seconds(cast: Cast, zone: Zone) -> None:
    domain = make_domain(cast.hive, NAME, verified=False)
    check_now(domain)
    first = counted(CHECK_SECONDS)[SUM]
    check_now(domain)

    seconds = counted(CHECK_SECONDS)
    assert 0 < first < seconds.pop(SUM)
    assert set(seconds) <= {*BOUNDS}
    assert sum(seconds.values()) == 2


def test_a_round_with_nothing_due_counts_nothing(cast: Cast, zone: Zone) -> None:
    with as_role("worker"):
        assert checking.check_due() == 0
    assert counted(CHECKS) == counted(CHECK_SECONDS) == {}


def test_a_domain_that_was_removed_meanwhile_counts_as_that(
    cast: Cast, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain, ask_all = make_domain(cast.hive, NAME, verified=False), lookups.ask_all

    def ask_while_it_is_removed(questions: Any) -> Any:
        with as_role("app"), tenant(cast.hive.pk):
            remove(by=cast.alice.actor, domain=domain)
        return ask_all(questions)

    monkeypatch.setattr(lookups, "ask_all", ask_while_it_is_removed)
    check_now(domain)
    assert counted(CHECKS) == {"removed": 1}


def test_a_check_that_fails_by_a_bug_of_ours_counts_as_an_error(
    cast: Cast, zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = make_domain(cast.hive, NAME, verified=False)
    monkeypatch.setattr(checking, "settle", lambda **_: 1 / 0)

    check_now(domain)

    assert counted(CHECKS) == {"error": 1}


def test_a_duration_falls_in_the_first_bucket_that_holds_it() -> None:
    found = [bound_of(seconds) for seconds in (0, 0.1, 0.11, 30, 31)]
    assert found == ["0.1", "0.1", "0.25", "30.0", BEYOND]
