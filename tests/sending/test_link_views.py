"""The links in mails: what a visitor gets, what is recorded, and what is not."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import DatabaseError
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from auditlog.models import Entry
from contacts.models import Suppression
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from sending import visits
from sending.links import Linker, Place
from sending.models import DeliveryEvent, Recipient
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from webhooks import actions as webhooks
from webhooks.models import Delivery

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
TARGET = "https://shop.example/?a=1&b=ü"


@pytest.fixture
def recipient(cast: Cast) -> Recipient:
    make_domain(cast.hive, "hive.example")
    with tenant(cast.hive.pk):
        webhooks.create_endpoint(
            by=cast.alice.actor,
            url="https://hooks.example/in",
            events=["email.opened", "email.clicked", "suppression.added"],
        )
    email_id = make_email(cast.hive, html="<p>Hi</p>")
    an_hour_ago = timezone.now() - timedelta(hours=1)
    with tenant(cast.hive.pk):
        Recipient.objects.filter(message_id=email_id).update(
            state="delivered", finished_at=an_hour_ago
        )
        return Recipient.objects.get(message_id=email_id)


def links_of(recipient: Recipient) -> Linker:
    return Linker("", settings.LINK_KEYS, Place(recipient.account_id, recipient.pk))


def visit(path: str, *, method: str = "get", agent: str = BROWSER, **headers: str) -> HttpResponse:
    call = getattr(Client(enforce_csrf_checks=True), method)
    return call(path, secure=True, headers={"user-agent": agent, **headers})  # type: ignore[no-any-return]


def events(cast: Cast) -> list[tuple[str, Any]]:
    with tenant(cast.hive.pk):
        return list(DeliveryEvent.objects.order_by("pk").values_list("type", "data"))


def told(cast: Cast) -> list[Any]:
    with tenant(cast.hive.pk):
        return [json.loads(bytes(one.body)) for one in Delivery.objects.order_by("pk")]


def test_an_open_is_recorded_and_told(cast: Cast, recipient: Recipient) -> None:
    answer = visit(links_of(recipient).pixel())
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/gif")
    assert answer.content.startswith(b"GIF89a")
    assert "no-store" in answer.headers["Cache-Control"]
    ((kind, data),) = events(cast)
    assert (kind, data["ip"], data["user_agent"]) == ("email.opened", "127.0.0.1", BROWSER)
    assert [one["type"] for one in told(cast)] == ["email.opened"]


def test_a_click_leads_on_and_is_told_in_the_form_of_the_contract(
    cast: Cast, recipient: Recipient
) -> None:
    answer = visit(links_of(recipient).click(TARGET))
    assert answer.status_code == 302
    assert answer.headers["Location"] == "https://shop.example/?a=1&b=%C3%BC"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    (hook,) = told(cast)
    assert (hook["type"], hook["data"]["to"]) == ("email.clicked", ["ann@wasp.example"])
    click = hook["data"]["click"]
    assert set(click) == {"ipAddress", "link", "timestamp", "userAgent"}
    assert (click["link"], click["ipAddress"]) == (TARGET, "127.0.0.1")


def test_the_weightiest_reaction_is_the_last_event(cast: Cast, recipient: Recipient) -> None:
    linker = links_of(recipient)
    outcomes = []
    for path in (linker.pixel(), linker.click(TARGET), linker.pixel()):
        visit(path)
        with tenant(cast.hive.pk):
            outcomes.append(Recipient.objects.get(pk=recipient.pk).outcome)
    assert outcomes == ["opened", "clicked", "clicked"]


def test_there_is_no_open_redirect(cast: Cast, recipient: Recipient) -> None:
    linker = links_of(recipient)
    token, _ = linker.click(TARGET).rsplit("/", 2)[1:]
    evil = linker.click("https://evil.example/").rpartition("/")[2]
    stranger = Linker("", [(1, "AAAA")], Place(recipient.account_id, recipient.pk))
    for path in (
        f"/t/c/{token}/{evil}",
        f"/t/c/{token}/aHR0cHM6Ly9ldmlsLmV4YW1wbGUv",
        f"/t/c/{'A' * 60}/{evil}",
        stranger.click("https://evil.example/"),
        stranger.pixel(),
        stranger.unsubscribe(),
        "/t/c/x/y",
        "/t/o/x.gif",
        "/u/x",
    ):
        answer = visit(path)
        assert answer.status_code == 404, path
        assert "Location" not in answer.headers
    assert visit(stranger.unsubscribe(), method="post").status_code == 404
    assert events(cast) == []


@pytest.mark.parametrize(
    ("method", "agent", "headers", "why"),
    [
        ("head", BROWSER, {}, "method"),
        ("get", BROWSER, {"sec-purpose": "prefetch;prerender"}, "prefetch"),
        ("get", "Mozilla/5.0 (compatible; Googlebot/2.1)", {}, "user_agent"),
        ("get", "", {}, "user_agent"),
        ("get", "Mozilla/5.0", {}, "user_agent"),
    ],
)
def test_a_program_is_marked_and_not_told(
    cast: Cast,
    recipient: Recipient,
    method: str,
    agent: str,
    headers: dict[str, str],
    why: str,
) -> None:
    linker = links_of(recipient)
    assert visit(linker.pixel(), method=method, agent=agent, **headers).status_code == 200
    assert visit(linker.click(TARGET), method=method, agent=agent, **headers).status_code == 302
    assert [data["automatic"] for _, data in events(cast)] == [why, why]
    assert told(cast) == []
    with tenant(cast.hive.pk):
        assert Recipient.objects.get(pk=recipient.pk).outcome == "delivered"


def test_what_comes_at_once_after_the_delivery_is_a_program(
    cast: Cast, recipient: Recipient
) -> None:
    with tenant(cast.hive.pk):
        Recipient.objects.filter(pk=recipient.pk).update(finished_at=timezone.now())
    visit(links_of(recipient).pixel())
    assert events(cast)[0][1]["automatic"] == "too_quick"


def test_a_link_that_is_fetched_for_ever_does_not_fill_the_disk(
    cast: Cast, recipient: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "KEPT_AT_MOST", 3)
    for _ in range(5):
        assert visit(links_of(recipient).pixel()).status_code == 200
    assert len(events(cast)) == 3


def test_the_visitor_gets_on_when_nothing_can_be_recorded(
    recipient: Recipient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DatabaseError("it is down")

    monkeypatch.setattr(visits, "find_recipient", fail)
    assert visit(links_of(recipient).click(TARGET)).status_code == 302
    assert visit(links_of(recipient).pixel()).status_code == 200


def test_a_get_of_the_unsubscribe_link_shows_a_page_and_does_nothing(
    cast: Cast, recipient: Recipient
) -> None:
    for method in ("get", "head"):
        answer = visit(links_of(recipient).unsubscribe(), method=method)
        assert answer.status_code == 200
    assert "ann@wasp.example" in visit(links_of(recipient).unsubscribe()).content.decode()
    with tenant(cast.hive.pk):
        assert not Suppression.objects.exists()
    assert events(cast) == []


def test_a_post_of_one_click_unsubscribes_once(cast: Cast, recipient: Recipient) -> None:
    path = links_of(recipient).unsubscribe()
    for _ in range(2):
        answer = Client(enforce_csrf_checks=True).post(
            path, {"List-Unsubscribe": "One-Click"}, secure=True, headers={"user-agent": "mail"}
        )
        assert answer.status_code == 200
        assert "You are unsubscribed" in answer.content.decode()
    with tenant(cast.hive.pk):
        row = Suppression.objects.get()
        entry = Entry.objects.get(event="suppression.added")
    assert (row.email, row.origin, row.marketing_only) == ("ann@wasp.example", "unsubscribe", True)
    assert row.source_id == recipient.message_id
    assert (entry.actor_type, entry.actor_id, entry.ip) == ("system", "unsubscribe", "127.0.0.1")
    assert [kind for kind, _ in events(cast)] == ["email.unsubscribed"]
    assert [one["type"] for one in told(cast)] == ["suppression.added"]


def test_a_link_of_a_message_that_is_gone(cast: Cast, recipient: Recipient) -> None:
    gone = Linker("", settings.LINK_KEYS, Place(cast.hive.pk, new_id()))
    assert visit(gone.unsubscribe(), method="post").status_code == 404
    assert visit(gone.pixel()).status_code == 200
    assert visit(gone.click(TARGET)).status_code == 302
    foreign = Linker("", settings.LINK_KEYS, Place(cast.wasp.pk, recipient.pk))
    assert visit(foreign.unsubscribe(), method="post").status_code == 404
    with tenant(cast.hive.pk):
        assert not Suppression.objects.exists()
