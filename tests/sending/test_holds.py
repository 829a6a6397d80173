"""Holding mail back and letting it go: by the actions, and on the console's page."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.utils import timezone
from django.utils.html import strip_tags

from auditlog import actions as audit
from auditlog.models import Entry
from domains.models import Domain
from queensmtp.actors import system_actor
from queensmtp.errors import ApiError
from queensmtp.tenancy import tenant
from sending import holds
from sending.models import Destination, Hold, HoldKind, Recipient, Warmup
from tests.console import get, post, sign_in
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.roles import as_role

pytestmark = pytest.mark.django_db


@pytest.fixture
def domain(cast: Cast) -> Domain:
    return make_domain(cast.hive, "hive.example")


def words(response: HttpResponse) -> str:
    """What a page says, without its marks."""
    return " ".join(strip_tags(response.content.decode().replace("<", " <")).split())


def events(cast: Cast) -> list[str]:
    with tenant(cast.hive.pk):
        found = Entry.objects.of_account(cast.hive.pk).order_by("id")
        return [one.event for one in found if one.event.startswith("sending.")]


def put_off(cast: Cast) -> None:
    with tenant(cast.hive.pk):
        Recipient.objects.update(due_at=timezone.now() + timedelta(hours=1))


def due_domains(cast: Cast) -> set[str]:
    with tenant(cast.hive.pk):
        return set(
            Recipient.objects.filter(due_at__lte=timezone.now()).values_list("domain", flat=True)
        )


def test_holding_and_letting_go_are_recorded_once_each(cast: Cast) -> None:
    with tenant(cast.hive.pk):
        made = holds.hold(by=cast.alice.actor, kind=HoldKind.DESTINATION, name="BEE.example")
        assert made.name == "bee.example"
        assert (
            holds.hold(by=cast.alice.actor, kind=HoldKind.DESTINATION, name="bee.example") == made
        )
        holds.let_go(by=cast.alice.actor, hold=made)
        holds.let_go(by=cast.alice.actor, hold=made)
        assert not Hold.objects.exists()
    assert events(cast) == ["sending.paused", "sending.resumed"]


@pytest.mark.parametrize("name", ["", "no domain", "bee..example", "127.0.0.1"])
def test_what_is_no_domain_is_refused(cast: Cast, name: str) -> None:
    with tenant(cast.hive.pk), pytest.raises(ApiError):
        holds.hold(by=cast.alice.actor, kind=HoldKind.DOMAIN, name=name)


@pytest.mark.parametrize(
    ("kind", "name", "due"),
    [
        (HoldKind.ACCOUNT, "", {"bee.example", "wasp.example"}),
        (HoldKind.DOMAIN, "hive.example", {"bee.example", "wasp.example"}),
        (HoldKind.DOMAIN, "other.example", set()),
        (HoldKind.DESTINATION, "bee.example", {"bee.example"}),
    ],
)
def test_letting_go_brings_back_what_was_held_and_nothing_else(
    cast: Cast, domain: Domain, kind: HoldKind, name: str, due: set[str]
) -> None:
    make_email(cast.hive, to="a@bee.example", cc="b@wasp.example")
    put_off(cast)
    with tenant(cast.hive.pk):
        holds.let_go(
            by=cast.alice.actor, hold=holds.hold(by=cast.alice.actor, kind=kind, name=name)
        )
    assert due_domains(cast) == due


def test_ending_a_warm_up_lets_the_rest_go(cast: Cast, domain: Domain) -> None:
    make_email(cast.hive)
    now = timezone.now()
    with tenant(cast.hive.pk):
        holds.warm_up(by=cast.alice.actor, domain=domain, now=now)
        holds.warm_up(by=cast.alice.actor, domain=domain, now=now)
    put_off(cast)
    with tenant(cast.hive.pk):
        holds.end_warm_up(by=cast.alice.actor, domain=domain)
        holds.end_warm_up(by=cast.alice.actor, domain=domain)
        assert not Warmup.objects.exists()
    assert due_domains(cast) == {"wasp.example"}
    assert events(cast) == ["sending.warm_up_begun", "sending.warm_up_ended"]


# The page


def test_the_page_counts_what_waits_and_where_it_goes(cast: Cast, domain: Domain) -> None:
    make_email(cast.hive, to=["a@bee.example", "b@bee.example", "c@wasp.example"])
    shown = words(get(sign_in(cast.alice.user), "/console/queue"))
    assert "3 deliveries waiting" in shown
    assert "bee.example 2" in shown
    assert "3 queued" in shown


def test_an_owner_holds_back_and_lets_go_on_the_page(cast: Cast, domain: Domain) -> None:
    client = sign_in(cast.alice.user)
    answer = post(
        client,
        "/console/queue/holds",
        {"kind": "domain", "name": "hive.example", "reason": "a wrong link"},
    )
    assert answer.status_code == 302
    shown = words(get(client, "/console/queue"))
    assert "mail from hive.example a wrong link" in shown

    with tenant(cast.hive.pk):
        made = Hold.objects.get()
    assert post(client, f"/console/queue/holds/{made.pk}/let-go", {}).status_code == 302
    assert "You hold nothing back" in words(get(client, "/console/queue"))


def test_a_wrong_domain_is_told_beside_its_field_and_nothing_is_lost(cast: Cast) -> None:
    data = {"kind": "destination", "name": "not a domain", "reason": "a wrong link"}
    answer = post(sign_in(cast.alice.user), "/console/queue/holds", data)
    assert answer.status_code == 422
    assert b"not a domain" in answer.content and b"a wrong link" in answer.content


def test_a_warm_up_begins_and_ends_on_the_page(cast: Cast, domain: Domain) -> None:
    client = sign_in(cast.alice.user)
    post(client, "/console/queue/warm-ups", {"domain": "hive.example"})
    assert "0 of 50" in words(get(client, "/console/queue"))
    post(client, f"/console/queue/warm-ups/{domain.pk}/end", {})
    assert "0 of 50" not in words(get(client, "/console/queue"))


def test_a_developer_looks_on(cast: Cast) -> None:
    client = sign_in(cast.bob.user)
    assert "An owner or admin holds mail back" in words(get(client, "/console/queue"))
    assert post(client, "/console/queue/holds", {"kind": "account"}).status_code == 403


def test_charlie_finds_neither_hold_nor_domain_of_hive(cast: Cast, domain: Domain) -> None:
    with tenant(cast.hive.pk):
        made = holds.hold(by=cast.alice.actor, kind=HoldKind.ACCOUNT)
        holds.warm_up(by=cast.alice.actor, domain=domain, now=timezone.now())
    client = sign_in(cast.charlie.user)
    for path, data in (
        (f"/console/queue/holds/{made.pk}/let-go", {}),
        (f"/console/queue/warm-ups/{domain.pk}/end", {}),
        ("/console/queue/warm-ups", {"domain": "hive.example"}),
    ):
        assert post(client, path, data).status_code == 404
    with tenant(cast.hive.pk):
        assert Hold.objects.exists() and Warmup.objects.exists()


# The operator


def test_an_operator_lists_pauses_and_resumes_destinations() -> None:
    with as_role("worker"):
        call_command("destinations", "pause", "Bee.example", stdout=StringIO())
        shown = StringIO()
        call_command("destinations", stdout=shown)
        assert shown.getvalue().startswith("bee.example  paused")
        call_command("destinations", "resume", "bee.example", stdout=StringIO())
        assert not Destination.objects.exists()
        with pytest.raises(CommandError):
            call_command("destinations", "pause", "no domain", stdout=StringIO())


def test_the_audit_entry_is_part_of_the_change(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**facts: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(audit, "record", broken)
    with tenant(cast.hive.pk):
        with pytest.raises(RuntimeError):
            holds.hold(by=system_actor(cast.hive.pk, "tests"), kind=HoldKind.ACCOUNT)
        assert not Hold.objects.exists()
