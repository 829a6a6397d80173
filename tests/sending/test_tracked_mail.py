"""Tracking and unsubscribe from the request to the bytes on the wire."""

import re
from email import message_from_bytes
from typing import Any

import dkim as dkimpy
import pytest

from contacts import actions as contacts
from contacts.actions import Wanted
from contacts.models import Origin
from domains.models import Domain
from domains.standing import VERIFIED, Finding
from queensmtp.tenancy import tenant
from sending import actions, received_mail, return_port, submissions
from sending.models import Recipient
from sending.received_mail import MailRefused
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.roles import as_role
from tests.sending.deliveries import records_of
from tests.smtp_sink import SmtpSink

HTML = '<p><a href="https://shop.example/">Shop</a> <a href="{{{UNSUBSCRIBE_URL}}}">Leave</a></p>'


@pytest.fixture
def sink(cast: Cast, sink: SmtpSink) -> SmtpSink:
    """The domain is there before any mail is."""
    make_domain(cast.hive, "hive.example")
    return sink


def deliver(cast: Cast, sink: SmtpSink, **body: Any) -> dict[str, bytes]:
    """What each recipient was sent."""
    make_email(cast.hive, **body)
    with as_role("worker"):
        actions.deliver_due()
    return {one.recipients[0]: one.content for one in sink.messages}


def html_of(content: bytes) -> str:
    (part,) = [
        one for one in message_from_bytes(content).walk() if one.get_content_type() == "text/html"
    ]
    payload = part.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode()


def test_it_is_off_unless_it_is_asked_for(cast: Cast, sink: SmtpSink) -> None:
    (content,) = deliver(cast, sink, html=HTML).values()
    assert b"/t/" not in content and b"List-Unsubscribe" not in content
    assert html_of(content).strip() == HTML


def test_each_recipient_gets_links_of_his_own(cast: Cast, sink: SmtpSink) -> None:
    sent = deliver(
        cast,
        sink,
        to=["ann@wasp.example", "bea@wasp.example"],
        html=HTML,
        marketing=True,
        open_tracking=True,
        click_tracking=True,
    )
    bodies = {address: html_of(content) for address, content in sent.items()}
    for body in bodies.values():
        assert body.count("/t/c/") == body.count("/t/o/") == body.count("/u/") == 1
        assert "shop.example" not in body
    links = [re.findall(r'"(https://[^"]+)"', body) for body in bodies.values()]
    assert not set(links[0]) & set(links[1])


def test_one_click_is_signed_into_dkim(cast: Cast, sink: SmtpSink) -> None:
    (content,) = deliver(cast, sink, marketing=True).values()
    message = message_from_bytes(content)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert re.fullmatch(r"<https://\S+/u/\S+>", message["List-Unsubscribe"].strip())
    signed = "".join(str(message["DKIM-Signature"]).split()).partition("h=")[2].partition(";")[0]
    assert {"list-unsubscribe", "list-unsubscribe-post"} <= set(signed.split(":"))
    assert dkimpy.DKIM(content).verify(dnsfunc=records_of(cast))


def test_who_unsubscribed_gets_no_more_marketing_mail(cast: Cast, sink: SmtpSink) -> None:
    with tenant(cast.hive.pk):
        wanted = [Wanted("ann@wasp.example", Origin.UNSUBSCRIBE)]
        contacts.suppress(by=cast.alice.actor, wanted=wanted)
    assert deliver(cast, sink, marketing=True) == {}
    assert list(deliver(cast, sink, subject="Your receipt")) == ["ann@wasp.example"]


def test_who_unsubscribes_while_it_waits_gets_it_no_more(cast: Cast, sink: SmtpSink) -> None:
    make_email(cast.hive, marketing=True)
    with tenant(cast.hive.pk):
        wanted = [Wanted("ann@wasp.example", Origin.UNSUBSCRIBE)]
        contacts.suppress(by=cast.alice.actor, wanted=wanted)
    with as_role("worker"):
        actions.deliver_due()
    with tenant(cast.hive.pk):
        assert Recipient.objects.get().state == "suppressed"
    assert sink.messages == []


@pytest.mark.parametrize("name", ["marketing", "open_tracking", "click_tracking"])
def test_a_flag_is_true_or_false(name: str) -> None:
    for value in (True, False, None):
        read = submissions.read({name: value}, recipients_maximum=50)
        assert not [one for one in read.problems if one.field == name]
    read = submissions.read({name: "yes"}, recipients_maximum=50)
    assert [one.code for one in read.problems if one.field == name] == ["not_a_flag"]


def test_over_smtp_they_are_headers_that_stay_behind() -> None:
    content = (
        b"From: a@hive.example\r\nX-QueenSMTP-Marketing: true\r\n"
        b"X-QueenSMTP-Open-Tracking: false\r\nX-QueenSMTP-Click-Tracking: TRUE\r\n\r\nHi\r\n"
    )
    mail = received_mail.read(content, recipients=["ann@wasp.example"])
    assert (mail.marketing, mail.open_tracking, mail.click_tracking) == (True, False, True)
    assert mail.headers == ()
    with pytest.raises(MailRefused):
        received_mail.read(content.replace(b"false", b"maybe"), recipients=["ann@wasp.example"])


def test_what_the_message_leaves_open_its_domain_decides(cast: Cast, sink: SmtpSink) -> None:
    with tenant(cast.hive.pk):
        Domain.objects.update(open_tracking=True, click_tracking=True)
    (body,) = map(html_of, deliver(cast, sink, html=HTML, click_tracking=False).values())
    assert "/t/o/" in body and "/t/c/" not in body


def test_bounces_come_back_through_the_customers_own_host_once_dns_shows_it(
    cast: Cast, sink: SmtpSink
) -> None:
    with tenant(cast.hive.pk):
        Domain.objects.update(findings={})
    deliver(cast, sink)
    shown = Finding(VERIFIED).to_json()
    with tenant(cast.hive.pk):
        Domain.objects.update(findings={"return_path_mx": shown, "return_path_spf": shown})
    deliver(cast, sink)
    ours, own = (one.sender for one in sink.messages)
    assert ours.endswith("@bounces.localhost")
    assert own.endswith("@send.hive.example")
    assert return_port.find_recipient(own) is not None
