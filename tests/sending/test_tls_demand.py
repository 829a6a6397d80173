"""TLS that a sender demands: for a domain, for one message, by the API and by SMTP."""

from typing import Any

import pytest

from domains.models import Domain
from queensmtp.tenancy import tenant
from sending import actions, received_mail, submissions, transports
from sending.models import Destination, Recipient
from tests.certificates import Authority
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.roles import as_role
from tests.sending.deliveries import To
from tests.smtp_sink import SmtpSink


@pytest.fixture
def domain(cast: Cast) -> Domain:
    return make_domain(cast.hive, "hive.example")


def deliver(cast: Cast) -> Recipient:
    with as_role("worker"):
        actions.deliver_due()
    with tenant(cast.hive.pk):
        return Recipient.objects.get()


def test_without_a_demand_mail_goes_out_as_it_can(
    cast: Cast, domain: Domain, sink: SmtpSink
) -> None:
    make_email(cast.hive)
    assert deliver(cast).state == "delivered"


def test_a_message_may_demand_tls(cast: Cast, domain: Domain, sink: SmtpSink) -> None:
    make_email(cast.hive, tls="enforced")
    recipient = deliver(cast)
    assert (recipient.state, sink.messages) == ("deferred", [])
    assert "does not offer STARTTLS" in recipient.reply


def test_a_domain_may_demand_tls_and_a_message_does_not_take_it_back(
    cast: Cast, domain: Domain, sink: SmtpSink
) -> None:
    with tenant(cast.hive.pk):
        Domain.objects.update(enforces_tls=True)
    make_email(cast.hive, tls="opportunistic")
    assert deliver(cast).state == "deferred"
    assert sink.messages == []


def test_a_demand_slows_the_destination_down_for_nobody(
    cast: Cast, domain: Domain, sink: SmtpSink
) -> None:
    make_email(cast.hive, tls="enforced")
    deliver(cast)
    with as_role("worker"):
        assert not Destination.objects.exists()


def test_a_server_with_tls_gets_what_demands_it(
    cast: Cast,
    domain: Domain,
    sink: SmtpSink,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    with SmtpSink(certificate=Authority(tmp_path).issue("localhost")) as secured:
        monkeypatch.setattr(transports, "configured", lambda: To(secured.port))
        make_email(cast.hive, tls="enforced")
        assert deliver(cast).state == "delivered"
        assert secured.messages[0].tls_version


@pytest.mark.parametrize("tls", ["required", True, "ENFORCED", 1])
def test_any_other_word_is_refused(tls: object) -> None:
    asked = {"from": "a@b.example", "to": "c@d.example", "subject": "s", "text": "t", "tls": tls}
    found = submissions.read(asked, recipients_maximum=5)
    assert [one.field for one in found.problems] == ["tls"]


def test_smtp_demands_it_by_a_header_that_is_not_sent_on() -> None:
    content = b"From: a@b.example\r\nX-QueenSMTP-TLS: enforced\r\nSubject: s\r\n\r\nt\r\n"
    mail = received_mail.read(content, recipients=["c@d.example"])
    assert mail.enforces_tls
    assert mail.headers == ()
