"""The sandbox's addresses, through the real pipeline with its webhooks."""

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys.tokens import Environment
from contacts.models import Suppression
from queensmtp.tenancy import tenant
from sending import actions, message_tables, parcels, transports
from sending.models import DeliveryEvent, Message, Recipient
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.factories.keys import make_key
from tests.factories.webhooks import make_endpoint
from tests.roles import as_role
from tests.sending.deliveries import To
from tests.smtp_sink import SmtpSink
from webhooks.models import Delivery
from webhooks.payloads import EMAIL_EVENTS

ENVIRONMENTS = [Environment.DEVELOPMENT, Environment.PRODUCTION]


@pytest.fixture(autouse=True)
def outside(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpSink]:
    """Where mail would arrive that left."""
    make_domain(cast.hive, "hive.example")
    monkeypatch.setattr(parcels, "_ring", parcels.KeyRing())
    with SmtpSink() as sink:
        monkeypatch.setattr(transports, "configured", lambda: To(sink.port))
        yield sink
    assert sink.messages == []


def send(cast: Cast, to: str, environment: Environment) -> None:
    make_endpoint(cast.hive, "https://hooks.wasp.example/", events=EMAIL_EVENTS)
    key, _ = make_key(cast.hive, environment=environment)
    make_email(cast.hive, key=key, to=to)
    deliver()


def deliver() -> None:
    with as_role("worker"):
        actions.deliver_due()


def try_again(cast: Cast) -> None:
    with as_role("worker"):
        Recipient.objects.update(due_at="2020-01-01T00:00:00Z")
    deliver()


def states(cast: Cast) -> list[tuple[str, str]]:
    with tenant(cast.hive.pk):
        return list(Recipient.objects.values_list("state", "enhanced_code"))


def told(cast: Cast) -> list[str]:
    """The webhooks, beside the timeline's events, which must be the same."""
    with tenant(cast.hive.pk):
        bodies = [json.loads(bytes(one.body)) for one in Delivery.objects.order_by("pk")]
        events = list(DeliveryEvent.objects.order_by("pk").values_list("type", flat=True))
    assert sorted(one["type"] for one in bodies) == sorted(events)
    return events


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize(
    ("to", "state", "types"),
    [
        ("delivered@sandbox.example", ("delivered", "2.0.0"), ["email.delivered"]),
        ("Bounced+17@sandbox.example", ("bounced", "5.1.1"), ["email.bounced"]),
        (
            "complained@sandbox.example",
            ("delivered", "2.0.0"),
            ["email.delivered", "email.complained"],
        ),
        ("deferred@sandbox.example", ("deferred", "4.2.1"), ["email.delivery_delayed"]),
        ("what@sandbox.example", ("bounced", "5.1.1"), ["email.bounced"]),
    ],
)
def test_an_address_does_as_its_word_says(
    cast: Cast, to: str, environment: Environment, state: tuple[str, str], types: list[str]
) -> None:
    send(cast, to, environment)

    assert states(cast) == [state]
    assert told(cast) == types
    with tenant(cast.hive.pk):
        assert Suppression.objects.count() == 0


def test_what_was_put_off_arrives_at_the_next_attempt(cast: Cast) -> None:
    send(cast, "deferred@sandbox.example", Environment.PRODUCTION)
    try_again(cast)

    assert states(cast) == [("delivered", "2.0.0")]
    assert told(cast) == ["email.delivery_delayed", "email.delivered"]


def test_a_development_key_reaches_nobody_outside(cast: Cast) -> None:
    send(cast, "ann@wasp.example", Environment.DEVELOPMENT)

    assert states(cast) == [("delivered", "2.0.0")]


def test_the_domain_is_a_setting(cast: Cast, settings: pytest.FixtureRequest) -> None:
    settings.SANDBOX_DOMAIN = "play.example"  # type: ignore[attr-defined]
    send(cast, "bounced@play.example", Environment.PRODUCTION)

    assert states(cast) == [("bounced", "5.1.1")]


def test_scheduled_mail_ages_from_its_own_time(cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    make_email(cast.hive, key=key, to="deferred@sandbox.example", scheduled_at="in 20 days")
    now = timezone.now()
    with as_role("worker"):
        Message.objects.update(created_at=now - timedelta(days=20), scheduled_at=now)
        Recipient.objects.update(due_at=now)
    deliver()

    assert states(cast) == [("deferred", "4.2.1")]
    with tenant(cast.hive.pk):
        message = Message.objects.get()
        raw = message_tables.raw_of(message)
    assert f"Date: {now:%a, %d %b %Y %H:%M:%S} +0000" in raw
