"""Links at the tracking host of a sending domain: made when DNS shows it, good there alone."""

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from contacts.models import Suppression
from domains.models import Domain
from domains.standing import TEMPORARY_FAILURE, VERIFIED, Finding
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from sending import actions
from sending.links import Linker, Place
from sending.models import DeliveryEvent, Recipient
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.roles import as_role
from tests.smtp_sink import SmtpSink

HOST = "links.hive.example"
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
TARGET = "https://shop.example/"
ASKED: dict[str, Any] = {
    "html": f'<p><a href="{TARGET}">Shop</a> <a href="{{{{{{UNSUBSCRIBE_URL}}}}}}">Leave</a></p>',
    "open_tracking": True,
    "click_tracking": True,
    "marketing": True,
}


def with_tracking_host(cast: Cast, *, status: str = VERIFIED, seen: str = "links") -> None:
    with tenant(cast.hive.pk):
        Domain.objects.update(
            tracking_subdomain="links",
            findings={f"tracking:{seen}": Finding(status, was_seen=True).to_json()},
        )


def sent_links(cast: Cast, sink: SmtpSink) -> list[str]:
    """Every link that we put into the mail, headers included."""
    make_email(cast.hive, **ASKED)
    with as_role("worker"):
        actions.deliver_due()
    content = sink.messages[-1].content.replace(b"=\r\n", b"").replace(b"=3D", b"=")
    return re.findall(r"https://[^\s\"<>]+/(?:t|u)/[^\s\"<>]+", content.decode())


@pytest.fixture
def recipient(cast: Cast) -> Recipient:
    make_domain(cast.hive, "hive.example")
    email_id = make_email(cast.hive, html="<p>Hi</p>")
    an_hour_ago = timezone.now() - timedelta(hours=1)
    with tenant(cast.hive.pk):
        Recipient.objects.filter(message_id=email_id).update(
            state="delivered", finished_at=an_hour_ago
        )
        return Recipient.objects.get(message_id=email_id)


def linker(recipient: Recipient, host: str = HOST) -> Linker:
    place = Place(recipient.account_id, recipient.pk)
    return Linker("https://localhost:8443", settings.LINK_KEYS, place, host)


def visit(link: str, *, host: str = HOST, method: str = "get", **named: Any) -> HttpResponse:
    path = re.sub(r"^https://[^/]+", "", link)
    headers = {"user-agent": BROWSER, "host": f"{host}:8443"}
    call = getattr(Client(enforce_csrf_checks=True), method)
    return call(path, secure=True, headers=headers, **named)  # type: ignore[no-any-return]


def events(cast: Cast) -> list[str]:
    with tenant(cast.hive.pk):
        return list(DeliveryEvent.objects.order_by("pk").values_list("type", flat=True))


def test_mail_of_a_domain_with_a_verified_host_links_there(cast: Cast, sink: SmtpSink) -> None:
    make_domain(cast.hive, "hive.example")
    with_tracking_host(cast)
    links = sent_links(cast, sink)
    # The click, the pixel, the way to unsubscribe in the text and in the header.
    assert len(links) == 4
    port = settings.LINKS_URL.rpartition(":")[2]
    assert {link.split("/")[2] for link in links} == {f"{HOST}:{port}"}


@pytest.mark.parametrize(
    ("status", "seen"), [(TEMPORARY_FAILURE, "links"), (VERIFIED, "old")], ids=["gone", "other"]
)
def test_until_dns_shows_it_links_lead_to_ours(
    cast: Cast, sink: SmtpSink, status: str, seen: str
) -> None:
    make_domain(cast.hive, "hive.example")
    with_tracking_host(cast, status=status, seen=seen)
    links = sent_links(cast, sink)
    assert len(links) == 4
    assert all(link.startswith(f"{settings.LINKS_URL}/") for link in links)


def test_what_was_sent_is_answered_at_that_host(cast: Cast, sink: SmtpSink) -> None:
    make_domain(cast.hive, "hive.example")
    with_tracking_host(cast)
    answers = [visit(link).status_code for link in sent_links(cast, sink)]
    assert sorted(answers) == [200, 200, 200, 302]
    assert {"email.opened", "email.clicked"} <= set(events(cast))


def test_a_click_leads_on_and_is_recorded(cast: Cast, recipient: Recipient) -> None:
    answer = visit(linker(recipient).click(TARGET))
    assert (answer.status_code, answer.headers["Location"]) == (302, TARGET)
    assert visit(linker(recipient).pixel()).headers["Content-Type"] == "image/gif"
    assert events(cast) == ["email.clicked", "email.opened"]


def test_one_click_unsubscribes_there(cast: Cast, recipient: Recipient) -> None:
    link = linker(recipient).unsubscribe()
    page = visit(link)
    assert "ann@wasp.example" in page.content.decode()
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    with tenant(cast.hive.pk):
        assert not Suppression.objects.exists()
    answer = visit(link, method="post", data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    with tenant(cast.hive.pk):
        assert Suppression.objects.get().email == "ann@wasp.example"


def test_a_link_is_good_at_its_own_host_alone(cast: Cast, recipient: Recipient) -> None:
    """No other domain's host, nor a forged one, lends its name to it; nor does ours."""
    ours, own = linker(recipient, ""), linker(recipient)
    for made, host in (
        (own, "links.wasp.example"),
        (own, "localhost"),
        (ours, HOST),
        (ours, "evil.example"),
    ):
        for link in (made.click(TARGET), made.pixel(), made.unsubscribe()):
            answer = visit(link, host=host)
            assert answer.status_code == 404, (host, link)
            assert "Location" not in answer.headers
        assert visit(made.unsubscribe(), host=host, method="post").status_code == 404
    assert events(cast) == []


def test_a_target_cannot_pass_for_a_host(recipient: Recipient) -> None:
    """What is signed for one pair of host and target is signed for no other."""
    link = linker(recipient, "").click(f"{HOST}\nclick {TARGET}")
    token = link.rsplit("/", 2)[1]
    encoded = linker(recipient).click(TARGET).rsplit("/", 1)[1]
    assert visit(f"/t/c/{token}/{encoded}").status_code == 404


@pytest.mark.parametrize(
    "path", ["/", "/console", "/livez", "/v1/emails", "/docs", "/accounts/login/"]
)
def test_nothing_else_is_answered_there(path: str) -> None:
    assert visit(path).status_code == 400


def test_a_link_of_a_message_that_is_gone_says_so(cast: Cast) -> None:
    gone = Linker("https://localhost:8443", settings.LINK_KEYS, Place(cast.hive.pk, new_id()), HOST)
    answer = visit(gone.unsubscribe())
    assert (answer.status_code, b"no longer kept" in answer.content) == (404, True)


@pytest.mark.parametrize("path", ["/t/", "/t/x", "/u/", "/t/c/a/b/c", "/t/o/x.gif", "/u/x"])
def test_what_is_no_link_is_not_found(path: str) -> None:
    answer = visit(path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "text/plain")


def test_the_operator_lists_the_names_that_need_a_certificate(cast: Cast) -> None:
    make_domain(cast.hive, "hive.example")
    make_domain(cast.wasp, "wasp.example")
    with_tracking_host(cast)
    out = StringIO()
    with as_role("worker"):
        call_command("tracking_hosts", stdout=out)
    assert out.getvalue() == f"{HOST}\n"


@pytest.mark.parametrize(
    ("name", "status"),
    [
        (HOST, 200),
        (HOST.upper(), 200),
        ("other.hive.example", 404),
        ("hive.example", 404),
        ("links.wasp.example", 404),
        (f"x.{HOST}", 404),
        (".hive.example", 404),
        ("", 404),
        ("a" * 300, 404),
        ("a\0b", 404),
        ("%' OR true --", 404),
    ],
)
def test_a_proxy_asks_before_it_gets_a_certificate(cast: Cast, name: str, status: int) -> None:
    make_domain(cast.hive, "hive.example")
    make_domain(cast.wasp, "wasp.example")
    with_tracking_host(cast)
    assert Client().get("/tracking-hosts", {"domain": name}, secure=True).status_code == status


@pytest.mark.parametrize(
    "change",
    [
        {"findings": {"tracking:links": Finding(TEMPORARY_FAILURE).to_json()}},
        {"findings": {}},
        {"can_send": False, "status": "failed"},
    ],
    ids=["gone", "unseen", "stopped"],
)
def test_no_certificate_is_got_for_a_host_that_is_not_verified(
    cast: Cast, change: dict[str, Any]
) -> None:
    make_domain(cast.hive, "hive.example")
    with_tracking_host(cast)
    with tenant(cast.hive.pk):
        Domain.objects.update(**change)
    assert Client().get("/tracking-hosts", {"domain": HOST}, secure=True).status_code == 404
