"""The send worker: claim, build, sign, deliver, record. It runs as role `worker`."""

import time
from datetime import timedelta
from typing import Any

import dkim as dkimpy
import pytest
from django.utils import timezone

from apikeys.tokens import Environment
from domains.models import DkimKey, Domain
from queensmtp import crypto
from queensmtp.actors import system_actor
from queensmtp.tenancy import tenant
from sending import actions, courier, mime, queue, serializers, transports
from sending.contents import Content
from sending.models import DeliveryEvent, Message, Recipient
from sending.routes import Route
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.factories.keys import make_key
from tests.roles import as_role
from tests.sending.deliveries import To, records_of
from tests.smtp_sink import Script, SmtpSink
from webhooks import actions as webhooks
from webhooks.models import Delivery


@pytest.fixture
def domain(cast: Cast) -> Domain:
    return make_domain(cast.hive, "hive.example")


def deliver_due() -> int:
    with as_role("worker"):
        return actions.deliver_due()


def of_hive(cast: Cast) -> list[Recipient]:
    with tenant(cast.hive.pk):
        return list(Recipient.objects.order_by("address"))


def events_of(cast: Cast) -> list[DeliveryEvent]:
    with tenant(cast.hive.pk):
        return list(DeliveryEvent.objects.order_by("id"))


def test_delivers_what_was_asked_for(cast: Cast, domain: Domain, sink: SmtpSink) -> None:
    email_id = make_email(
        cast.hive, cc="bea@wasp.example", bcc="eve@wasp.example", headers={"X-Order": "7"}
    )

    assert deliver_due() == 3

    assert sorted(one.recipients for one in sink.messages) == [
        ("ann@wasp.example",),
        ("bea@wasp.example",),
        ("eve@wasp.example",),
    ]
    received = sink.messages[0]
    # The one line above is each recipient's own.
    own, _, shared = received.content.partition(b"\r\n")
    assert own.startswith(b"X-QueenSMTP-Feedback: ")
    assert {one.content.partition(b"\r\n")[2] for one in sink.messages} == {shared}
    assert f"Message-ID: <{email_id}@hive.example>".encode() in received.content
    assert b"X-Order: 7" in received.content
    assert b"eve@" not in received.content
    assert {one.state for one in of_hive(cast)} == {"delivered"}


def test_signs_with_every_key_of_the_domain(cast: Cast, domain: Domain, sink: SmtpSink) -> None:
    make_email(cast.hive)
    deliver_due()

    content = sink.messages[0].content
    verdicts = [dkimpy.DKIM(content).verify(idx=at, dnsfunc=records_of(cast)) for at in range(2)]
    assert verdicts == [True, True]
    assert content.count(b"DKIM-Signature:") == 2


def test_the_timeline_tells_how_it_went(cast: Cast, domain: Domain, sink: SmtpSink) -> None:
    make_email(cast.hive)
    deliver_due()

    (event,) = events_of(cast)
    assert event.type == "email.delivered"
    assert event.data["attempt"] == 1
    assert event.data["code"] == 250
    assert event.data["reply"] == "taken"
    assert event.data["mx_host"] == "localhost"
    assert [one["s"][:3] for one in event.data["dkim"]] == ["qs1", "qs2"]


def test_running_twice_changes_nothing_more(cast: Cast, domain: Domain, sink: SmtpSink) -> None:
    make_email(cast.hive)
    deliver_due()

    assert deliver_due() == 0
    assert len(sink.messages) == 1


def test_a_relay_takes_it_but_has_not_delivered_it(
    cast: Cast, domain: Domain, sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transports, "configured", lambda: To(sink.port, is_final=False))
    make_email(cast.hive)
    deliver_due()

    assert of_hive(cast)[0].state == "sent"
    assert events_of(cast)[0].type == "email.sent"


@pytest.mark.parametrize(
    ("reply", "state", "event"),
    [
        ("450 4.2.1 busy", "deferred", "email.delivery_delayed"),
        ("550 5.1.1 no such user", "bounced", "email.bounced"),
    ],
)
def test_the_remotes_answer_decides(
    cast: Cast, domain: Domain, sink: SmtpSink, reply: str, state: str, event: str
) -> None:
    sink.script = Script(recipients={"ann@wasp.example": reply})
    make_email(cast.hive, cc="bea@wasp.example")
    deliver_due()

    ann, bea = of_hive(cast)
    assert (ann.state, bea.state) == (state, "delivered")
    assert str(ann.smtp_code) == reply[:3]
    assert event in [one.type for one in events_of(cast)]
    assert (ann.due_at > timezone.now()) == (state == "deferred")


def test_an_unreachable_server_defers(
    cast: Cast, domain: Domain, monkeypatch: pytest.MonkeyPatch, sink: SmtpSink
) -> None:
    monkeypatch.setattr(transports, "configured", lambda: To(1))
    make_email(cast.hive)
    deliver_due()

    assert of_hive(cast)[0].state == "deferred"
    assert deliver_due() == 0


def test_what_dns_takes_is_taken_from_the_delivery(
    cast: Cast, domain: Domain, sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a slow look-up before a slow delivery would outlive the lease."""

    class Slow(To):
        def routes(self, domain: str) -> tuple[Route, ...]:
            time.sleep(0.3)
            return super().routes(domain)

    monkeypatch.setattr(courier.configured(), "delivery_seconds", 0.2)
    monkeypatch.setattr(transports, "configured", lambda: Slow(sink.port))
    make_email(cast.hive)
    deliver_due()

    (recipient,) = of_hive(cast)
    assert (recipient.state, sink.messages) == ("deferred", [])
    assert "too long" in recipient.reply


def test_what_is_too_old_is_given_up(
    cast: Cast, domain: Domain, monkeypatch: pytest.MonkeyPatch, sink: SmtpSink, settings: Any
) -> None:
    settings.DELIVERY_FINAL_AGE_SECONDS = 0
    monkeypatch.setattr(transports, "configured", lambda: To(1))
    make_email(cast.hive)
    deliver_due()

    assert of_hive(cast)[0].state == "failed"
    assert events_of(cast)[0].type == "email.failed"


def test_a_break_after_the_dot_is_in_doubt_and_tried_again_with_the_same_id(
    cast: Cast, domain: Domain, sink: SmtpSink
) -> None:
    sink.script = Script(hang_up_at="final")
    make_email(cast.hive)
    deliver_due()

    (recipient,) = of_hive(cast)
    assert (recipient.state, recipient.in_doubt_count) == ("in_doubt", 1)

    sink.script = Script()
    with tenant(cast.hive.pk):
        Recipient.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    deliver_due()

    first, second = (message_id_of(one.content) for one in sink.messages)
    assert first == second
    assert of_hive(cast)[0].state == "delivered"


def message_id_of(content: bytes) -> bytes:
    return next(line for line in content.splitlines() if line.startswith(b"Message-ID:"))


def test_a_lease_that_ran_out_is_in_doubt(cast: Cast, domain: Domain, sink: SmtpSink) -> None:
    make_email(cast.hive)
    past = timezone.now() + timedelta(hours=1)
    with as_role("worker"):
        queue.claim(limit=10, lease_seconds=60, now=timezone.now() + timedelta(seconds=1))
        assert actions.put_lost_in_doubt(now=past) == 1
        assert actions.put_lost_in_doubt(now=past) == 0

    (recipient,) = of_hive(cast)
    assert (recipient.state, recipient.in_doubt_count) == ("in_doubt", 1)
    assert events_of(cast)[0].data["state"] == "in_doubt"


def test_two_workers_one_winner(cast: Cast, domain: Domain, sink: SmtpSink) -> None:
    make_email(cast.hive)
    soon = timezone.now() + timedelta(seconds=1)
    with as_role("worker"):
        (ours,) = queue.claim(limit=10, lease_seconds=1, now=soon)
        assert queue.claim(limit=10, lease_seconds=1, now=soon) == []
        actions.put_lost_in_doubt(now=soon + timedelta(hours=1))
        (theirs,) = queue.claim(limit=10, lease_seconds=60, now=soon + timedelta(hours=2))

        late = report_of(ours)
        assert queue.report([late]) == set()
        assert queue.report([report_of(theirs)]) == {theirs.id}


def report_of(claimed: queue.Claimed) -> queue.Report:
    now = timezone.now()
    return queue.Report(claimed, "delivered", None, now, 250, "2.0.0", "taken")


def test_what_could_not_begin_within_its_lease_is_given_back_untried(
    cast: Cast, domain: Domain, sink: SmtpSink, settings: Any
) -> None:
    settings.DELIVERY_LEASE_SECONDS = 1
    make_email(cast.hive)

    assert deliver_due() == 1

    (recipient,) = of_hive(cast)
    assert (recipient.state, recipient.attempts, recipient.lease_token) == ("queued", 0, None)
    assert sink.messages == []


def test_a_message_that_cannot_be_built_stops_no_other(
    cast: Cast, domain: Domain, sink: SmtpSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = mime.build

    def breaks_for_poison(content: Content) -> bytes:
        if content.subject == "poison":
            raise RecursionError
        return build(content)

    monkeypatch.setattr(mime, "build", breaks_for_poison)
    make_email(cast.hive, subject="poison")
    make_email(cast.hive, to="bea@wasp.example")
    deliver_due()

    ann, bea = of_hive(cast)
    assert (ann.state, bea.state) == ("deferred", "delivered")


def test_contents_that_do_not_open_stop_no_other(
    cast: Cast, domain: Domain, sink: SmtpSink
) -> None:
    broken = make_email(cast.hive)
    make_email(cast.hive, to="bea@wasp.example")
    with tenant(cast.hive.pk), as_role("worker"):
        Message.objects.filter(pk=broken).update(content=b"\x01" * 40)
    deliver_due()

    ann, bea = of_hive(cast)
    assert (ann.state, bea.state) == ("deferred", "delivered")
    assert len(events_of(cast)) == 2


def test_a_dkim_key_that_does_not_open_stops_no_other_domain(
    cast: Cast, domain: Domain, sink: SmtpSink
) -> None:
    make_domain(cast.hive, "other.example")
    with tenant(cast.hive.pk):
        DkimKey.objects.filter(domain=domain).update(private_key=b"\x01" * 40)
    make_email(cast.hive)
    make_email(cast.hive, to="bea@wasp.example", sender="a@other.example")
    deliver_due()

    ann, bea = of_hive(cast)
    assert (ann.state, bea.state) == ("deferred", "delivered")


def test_a_development_key_sends_nothing_outside(
    cast: Cast, domain: Domain, sink: SmtpSink
) -> None:
    key, _ = make_key(cast.hive, environment=Environment.DEVELOPMENT)
    make_email(cast.hive, key=key)
    deliver_due()

    assert sink.messages == []
    assert "sandbox" in of_hive(cast)[0].reply


def test_a_body_copied_to_another_message_does_not_open(
    cast: Cast, domain: Domain, sink: SmtpSink
) -> None:
    one, other = make_email(cast.hive, text="one"), make_email(cast.hive, text="other")
    with tenant(cast.hive.pk), as_role("worker"):
        stolen = Message.objects.get(pk=one).content
        Message.objects.filter(pk=other).update(content=stolen)
        with pytest.raises(crypto.CannotDecrypt):
            serializers.content_of(Message.objects.get(pk=other))


def test_each_outcome_is_told_by_webhook(cast: Cast, domain: Domain, sink: SmtpSink) -> None:
    with tenant(cast.hive.pk):
        webhooks.create_endpoint(
            by=system_actor(cast.hive.pk, "tests"),
            url="https://127.0.0.1:9/",
            events=["email.delivered"],
        )
    make_email(cast.hive, cc="bea@wasp.example")
    deliver_due()

    with tenant(cast.hive.pk):
        deliveries = list(Delivery.objects.all())
        assert {one.event_id for one in deliveries} == {one.pk for one in events_of(cast)}
        assert sorted(bytes(one.body).count(b"bea@wasp.example") for one in deliveries) == [0, 1]
