"""Mail of a leaked key is held: it waits, and fails when its time is over."""

from typing import Any

import pytest
from django.utils import timezone

from apikeys import leaks
from apikeys.leaks import Sighting
from queensmtp.tenancy import tenant
from sending import actions, parcels
from sending.models import DeliveryEvent, Recipient
from tests.factories.cast import ORIGIN, Cast, make_domain
from tests.factories.emails import make_email
from tests.factories.keys import make_key
from tests.roles import as_role
from tests.smtp_sink import SmtpSink


@pytest.fixture
def sink(cast: Cast, sink: SmtpSink) -> SmtpSink:
    """The domain is there before any mail is."""
    make_domain(cast.hive, "hive.example")
    return sink


def deliver_due() -> int:
    with as_role("worker"):
        return actions.deliver_due()


def make_due() -> None:
    with as_role("worker"):
        Recipient.objects.update(due_at=timezone.now())


def test_what_a_leaked_key_queued_is_not_sent(cast: Cast, sink: SmtpSink) -> None:
    leaked, token = make_key(cast.hive)
    other, _ = make_key(cast.hive)
    held = make_email(cast.hive, key=leaked, to="victim@wasp.example")
    make_email(cast.hive, key=other, to="friend@wasp.example")

    assert leaks.report([Sighting(token)], origin=ORIGIN) == 1
    deliver_due()

    assert [one.recipients for one in sink.messages] == [("friend@wasp.example",)]
    with tenant(cast.hive.pk):
        recipient = Recipient.objects.get(message_id=held)
        event = DeliveryEvent.objects.get(message_id=held)
    assert (recipient.state, recipient.reply) == ("deferred", parcels.HELD)
    assert (event.type, event.data["reply"]) == ("email.delivery_delayed", parcels.HELD)


def test_it_stays_held_at_every_further_attempt(cast: Cast, sink: SmtpSink) -> None:
    leaked, token = make_key(cast.hive)
    make_email(cast.hive, key=leaked)
    leaks.report([Sighting(token)], origin=ORIGIN)

    for _ in range(3):
        make_due()
        deliver_due()

    assert sink.messages == []
    with tenant(cast.hive.pk):
        assert Recipient.objects.get().state == "deferred"


def test_it_fails_when_its_time_is_over(cast: Cast, sink: SmtpSink, settings: Any) -> None:
    leaked, token = make_key(cast.hive)
    make_email(cast.hive, key=leaked)
    leaks.report([Sighting(token)], origin=ORIGIN)
    settings.DELIVERY_FINAL_AGE_SECONDS = 0

    deliver_due()

    assert sink.messages == []
    with tenant(cast.hive.pk):
        recipient = Recipient.objects.get()
    assert (recipient.state, recipient.reply) == ("failed", parcels.HELD)
