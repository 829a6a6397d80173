"""A test zone served by a real DNS server goes through every status and back."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import Account, Notice
from auditlog.models import Entry
from domains import actions, checking
from domains.models import Domain
from queensmtp.tenancy import tenant
from sending import actions as sending
from sending.models import Recipient
from tests.domains.zone import Zone, serving
from tests.factories.cast import Cast, make_domain, show_in_dns
from tests.factories.emails import make_email
from tests.factories.keys import bearer, make_key
from tests.factories.webhooks import make_endpoint
from tests.roles import as_role
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db

NAME = "hive.example"


def check(domain: Domain, *, now: datetime | None = None) -> Domain:
    """As the worker does it, at a time when this domain is due."""
    at = now or timezone.now()
    with tenant(domain.account_id):
        Domain.objects.filter(pk=domain.pk).update(check_due_at=at)
    with as_role("worker"):
        assert checking.check_due(now=at) == 1
    return fresh(domain)


def fresh(domain: Domain) -> Domain:
    with tenant(domain.account_id):
        return Domain.objects.get(pk=domain.pk)


def events(account: Account) -> list[str]:
    with tenant(account.pk):
        rows = Entry.objects.filter(account_id=account.pk, target_type="domain").order_by("pk")
        return list(rows.values_list("event", flat=True))


def notices(account: Account) -> list[str]:
    with tenant(account.pk), as_role("worker"):
        rows = Notice.objects.filter(account_id=account.pk).order_by("pk")
        return list(rows.values_list("kind", flat=True))


def send_from(token: str, name: str) -> int:
    body = {"from": f"a@{name}", "to": "b@wasp.example", "subject": "Hi", "text": "Hi"}
    headers = bearer(token)
    return (
        Client()
        .post("/v1/emails", body, content_type="application/json", headers=headers, secure=True)
        .status_code
    )


def test_a_domain_goes_through_every_status_and_back(cast: Cast, zone: Zone, settings: Any) -> None:
    make_endpoint(cast.hive, "https://hook.example/", events=["domain.created", "domain.updated"])
    _, token = make_key(cast.hive)
    domain, start = make_domain(cast.hive, NAME, verified=False), timezone.now()
    assert domain.status == "not_started"
    assert send_from(token, NAME) == 403

    domain = check(domain)
    assert (domain.status, domain.can_send) == ("pending", False)
    cause = domain.finding("verification").cause
    assert cause == "There is no _queensmtp.hive.example in DNS yet."

    zone.publish(domain, leave_out=["return_path_mx"])
    domain = check(domain)
    assert (domain.status, domain.can_send) == ("partially_verified", True)

    zone.publish(domain)
    domain = check(domain)
    assert (domain.status, domain.can_send) == ("verified", True)
    assert domain.finding("verification").found == (
        f"queensmtp-verification={domain.verification_token}",
    )
    assert send_from(token, NAME) == 202

    vanished = zone.records.pop(("_queensmtp.hive.example", "TXT"))
    domain = check(domain, now=start + timedelta(hours=1))
    assert (domain.status, domain.can_send) == ("partially_failed", True)
    assert domain.finding("verification").status == "temporary_failure"
    assert send_from(token, NAME) == 202

    domain = check(domain, now=start + timedelta(hours=72))
    assert domain.can_send
    domain = check(domain, now=start + timedelta(hours=74))
    assert (domain.status, domain.can_send) == ("failed", False)
    assert send_from(token, NAME) == 403

    zone.records["_queensmtp.hive.example", "TXT"] = vanished
    domain = check(domain, now=start + timedelta(hours=75))
    assert (domain.status, domain.can_send) == ("verified", True)
    assert send_from(token, NAME) == 202

    assert events(cast.hive) == [
        "domain.created",
        "domain.status_changed",
        "domain.verified",
        "domain.status_changed",
        "domain.status_changed",
        "domain.failed",
        "domain.verified",
    ]
    assert notices(cast.hive) == [
        "domain.verified",
        "domain.weakened",
        "domain.failed",
        "domain.verified",
    ]
    with tenant(cast.hive.pk):
        assert Delivery.objects.filter(event_type="domain.updated").count() == 6


def test_mail_that_waits_is_not_sent_once_its_domain_failed(cast: Cast, zone: Zone) -> None:
    domain = make_domain(cast.hive, NAME)
    message_id = make_email(cast.hive)
    check(domain)
    domain = check(domain, now=timezone.now() + timedelta(hours=80))
    assert not domain.can_send

    with as_role("worker"):
        sending.deliver_due()
    with tenant(cast.hive.pk):
        recipient = Recipient.objects.get(message_id=message_id)
    assert recipient.state == "deferred"
    assert recipient.reply == "Waiting: the domain that this is from is not verified any more."


def test_records_that_never_come_fail_after_the_patience(cast: Cast, zone: Zone) -> None:
    domain = make_domain(cast.hive, NAME, verified=False)
    domain = check(domain, now=timezone.now() + timedelta(hours=73))
    assert domain.status == "failed"

    with tenant(cast.hive.pk):
        actions.request_check(by=cast.alice.actor, domain=domain)
    assert check(domain).status == "pending"


def test_a_resolver_that_does_not_answer_stops_nobody(cast: Cast, zone: Zone) -> None:
    domain = make_domain(cast.hive, NAME, verified=False)
    zone.publish(domain)
    assert check(domain).can_send
    zone.broken = {name for name, _ in zone.records}
    for days in (1, 5, 30):
        domain = check(domain, now=timezone.now() + timedelta(days=days))
        assert (domain.status, domain.can_send) == ("verified", True)
        assert "got no answer" in domain.finding("verification").cause
    assert notices(cast.hive) == ["domain.verified"]


def test_two_resolvers_must_agree(cast: Cast, zone: Zone, settings: Any) -> None:
    domain = make_domain(cast.hive, NAME, verified=False)
    other = Zone()
    with serving(other, address="127.0.0.2", port=settings.DOMAIN_DNS_PORT):
        settings.DOMAIN_DNS_RESOLVERS = ["127.0.0.1", "127.0.0.2"]
        zone.publish(domain)
        domain = check(domain)
        assert not domain.can_send
        assert "One of 2 resolvers does not show it yet" in domain.finding("verification").cause

        other.publish(domain)
        assert check(domain).can_send


@pytest.mark.parametrize(
    ("slug", "kind", "values", "words"),
    [
        ("verification", "TXT", ["queensmtp-verification=guess"], "does not hold this token"),
        ("verification", "TXT", [f"number {one}" for one in range(100)], "too many"),
        ("return_path_mx", "MX", ["10 mx.other.example"], "leads to mx.other.example"),
        ("return_path_spf", "TXT", ["v=spf1 -all"], "does not name a:localhost"),
        ("return_path_spf", "TXT", ["v=spf1 a ~all", "v=spf1 -all"], "several SPF records"),
        ("return_path_spf", "TXT", ["something"], "none that begins with v=spf1"),
        ("dkim", "TXT", ["v=DKIM1; k=rsa; p="], "means revoked"),
        ("dkim", "TXT", ["v=DKIM1; k=rsa; p=MIIB"], "cut short"),
        ("dkim", "TXT", ["v=DKIM1; k=rsa; p=QUJD"], "another than this one"),
    ],
)
def test_what_is_wrong_is_told_in_words(
    cast: Cast, zone: Zone, slug: str, kind: str, values: list[str], words: str
) -> None:
    domain = make_domain(cast.hive, NAME, verified=False)
    zone.publish(domain)
    with tenant(cast.hive.pk):
        one = next(one for one in domain.to_publish() if one.slug.startswith(slug))
    zone.records[one.name, kind] = values
    domain = check(domain)
    assert domain.finding(one.slug).status == "pending"
    assert words in domain.finding(one.slug).cause
    assert len(domain.finding(one.slug).found) <= 20


def test_a_token_behind_a_cname_proves_nothing(cast: Cast, zone: Zone) -> None:
    domain = make_domain(cast.hive, NAME, verified=False)
    zone.publish(domain)
    token = zone.records.pop(("_queensmtp.hive.example", "TXT"))
    zone.records["_queensmtp.hive.example", "CNAME"] = ["attacker.example"]
    zone.records["attacker.example", "TXT"] = token
    domain = check(domain)
    assert not domain.can_send
    assert "A CNAME leads elsewhere" in domain.finding("verification").cause


def test_the_token_of_another_account_proves_nothing(cast: Cast, zone: Zone) -> None:
    mine = make_domain(cast.hive, NAME, verified=False)
    theirs = make_domain(cast.wasp, NAME, verified=False)
    assert mine.verification_token != theirs.verification_token
    zone.publish(theirs)
    with as_role("worker"):
        checking.check_due()
    assert fresh(theirs).can_send
    assert not fresh(mine).can_send


def test_proving_a_name_with_ones_own_token_moves_it_with_notice(cast: Cast, zone: Zone) -> None:
    mine = make_domain(cast.hive, NAME, verified=False)
    zone.publish(mine)
    mine = check(mine)
    theirs = make_domain(cast.wasp, NAME, verified=False)
    assert not check(theirs).can_send

    # The owner of the zone publishes Charlie's records beside Alice's, but for the one token.
    zone.publish(theirs)
    theirs = check(theirs)
    assert theirs.can_send

    lost = fresh(mine)
    assert (lost.status, lost.can_send) == ("failed", False)
    assert lost.verification_token != mine.verification_token
    assert events(cast.hive)[-1] == "domain.lost"
    assert events(cast.wasp)[-2:] == ["domain.claimed", "domain.verified"]
    assert notices(cast.hive)[-1] == "domain.lost"
    # What Alice left in DNS does not take it back.
    zone.records["_queensmtp.hive.example", "TXT"].append(
        f"queensmtp-verification={mine.verification_token}"
    )
    assert not check(lost).can_send
    assert fresh(theirs).can_send


def test_a_subdomain_of_anothers_domain_needs_its_own_proof(cast: Cast, zone: Zone) -> None:
    mine = make_domain(cast.hive, NAME, verified=False)
    zone.publish(mine)
    assert check(mine).can_send
    theirs = make_domain(cast.wasp, f"news.{NAME}", verified=False)
    assert not check(theirs).can_send
    zone.publish(theirs)
    assert check(theirs).can_send
    assert fresh(mine).can_send


def test_two_workers_have_one_winner(cast: Cast, zone: Zone) -> None:
    for number in range(12):
        make_domain(cast.hive, f"d{number}.example", verified=False)
    with as_role("worker"):
        first = checking.claim(now=timezone.now(), limit=8)
        second = checking.claim(now=timezone.now(), limit=8)
    assert (len(first), len(second)) == (8, 4)
    assert not {one.pk for one in first} & {one.pk for one in second}


def test_what_is_asked_for_during_a_check_is_not_forgotten(cast: Cast, zone: Zone) -> None:
    domain = make_domain(cast.hive, NAME, verified=False)
    began = timezone.now()
    with tenant(cast.hive.pk):
        actions.request_check(by=cast.alice.actor, domain=domain)
    with as_role("worker"):
        checking.settle(domain_id=domain.pk, name=NAME, judged={}, now=began)
    assert fresh(domain).is_being_checked
    with as_role("worker"):
        assert checking.check_due() == 1
    assert not fresh(domain).is_being_checked


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_claim_each_domain_once(cast: Cast, zone: Zone) -> None:
    for number in range(24):
        make_domain(cast.hive, f"d{number}.example", verified=False)

    def claim_all() -> list[UUID]:
        found: list[UUID] = []
        try:
            with as_role("worker"):
                while claimed := checking.claim(now=timezone.now(), limit=3):
                    found += [one.pk for one in claimed]
        finally:
            connection.close()
        return found

    with ThreadPoolExecutor(2) as pool:
        one, two = [future.result() for future in [pool.submit(claim_all) for _ in range(2)]]
    assert len(one) + len(two) == len({*one, *two}) == 24


def test_a_check_that_finds_the_same_changes_nothing_more(cast: Cast, zone: Zone) -> None:
    domain = make_domain(cast.hive, NAME, verified=False)
    zone.publish(domain)
    domain = check(domain)
    before = events(cast.hive)
    assert check(domain).can_send
    assert events(cast.hive) == before


def test_a_removed_domain_is_not_asked_about(cast: Cast, zone: Zone) -> None:
    domain = make_domain(cast.hive, NAME, verified=False)
    with tenant(cast.hive.pk):
        actions.remove(by=cast.alice.actor, domain=domain)
    with as_role("worker"):
        assert checking.check_due() == 0
    assert zone.asked_count == 0


def test_checks_slow_down_with_age(cast: Cast, zone: Zone) -> None:
    domain, pauses = make_domain(cast.hive, NAME, verified=False), []
    zone.publish(domain)
    for hours in (0, 30, 24 * 10):
        now = timezone.now() + timedelta(hours=hours)
        domain = check(domain, now=now)
        assert domain.check_due_at is not None
        pauses.append((domain.check_due_at - now).total_seconds() / 3_600)
    assert pauses[0] < 1.2 < pauses[1] < 7 < pauses[2] < 27


@pytest.mark.django_db(transaction=True)
def test_two_accounts_that_prove_a_name_at_once_leave_one_owner(cast: Cast, zone: Zone) -> None:
    domains = [make_domain(account, NAME, verified=False) for account in (cast.hive, cast.wasp)]
    zone.publish(domains[0])
    zone.publish(domains[1])
    zone.records["_queensmtp.hive.example", "TXT"] = [
        f"queensmtp-verification={one.verification_token}" for one in domains
    ]
    in_two_threads(show_in_dns, domains)
    assert sorted(fresh(one).can_send for one in domains) == [False, True]


def in_two_threads(work: Callable[[Domain], Domain], domains: list[Domain]) -> None:
    def run(domain: Domain) -> None:
        try:
            work(domain)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(run, domains))
