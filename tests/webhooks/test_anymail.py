"""Django's Anymail, unmodified: its Resend view takes what we send and reads it right."""

import json
from typing import Any

import pytest
from anymail.signals import AnymailTrackingEvent, tracking
from anymail.webhooks.resend import ResendTrackingWebhookView
from django.test import RequestFactory, override_settings

from tests.factories.cast import Cast
from tests.factories.webhooks import deliver, enqueue, make_endpoint, make_event, secret_of
from tests.http_receiver import HttpReceiver, Received
from webhooks.catalogue import CATALOGUE

KNOWN = {
    "email.sent": "sent",
    "email.delivered": "delivered",
    "email.delivery_delayed": "deferred",
    "email.complained": "complained",
    "email.bounced": "bounced",
    "email.opened": "opened",
    "email.clicked": "clicked",
}


def hand_over(received: Received, *, secret: str) -> tuple[int, list[AnymailTrackingEvent]]:
    """The very request that arrived, given to Anymail's view in the receiver's own Django."""
    heard: list[AnymailTrackingEvent] = []

    def hear(event: AnymailTrackingEvent, **_: Any) -> None:
        heard.append(event)

    tracking.connect(hear)
    try:
        with override_settings(ANYMAIL={"RESEND_SIGNING_SECRET": secret}):
            request = RequestFactory().post(
                "/anymail/resend/tracking/",
                received.body,
                content_type=received.headers["content-type"],
                headers={
                    name: value
                    for name, value in received.headers.items()
                    if name.startswith(("svix-", "webhook-"))
                },
                secure=True,
            )
            response = ResendTrackingWebhookView.as_view()(request)
    except Exception as refusal:
        if type(refusal).__name__ != "AnymailWebhookValidationFailure":
            raise
        return 400, heard
    finally:
        tracking.disconnect(hear)
    return response.status_code, heard


@pytest.fixture
def arrived(cast: Cast) -> tuple[dict[str, Received], str]:
    with HttpReceiver() as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url, events=list(KNOWN))
        enqueue(cast.hive, *[make_event(name, **CATALOGUE[name].data) for name in KNOWN])
        deliver()
    found = {json.loads(one.body)["type"]: one for one in receiver.requests}
    return found, secret_of(endpoint)


def test_every_event_that_anymail_knows_is_verified_and_understood(
    arrived: tuple[dict[str, Received], str],
) -> None:
    found, secret = arrived
    for name, meaning in KNOWN.items():
        status, [event] = hand_over(found[name], secret=secret)
        assert (status, event.recipient) == (200, "someone@example.com"), name
        assert event.event_id == found[name].headers["svix-id"]
        assert event.message_id == CATALOGUE[name].data["email_id"]
        assert event.event_type == meaning, name


def test_anymail_refuses_what_another_secret_signed(
    arrived: tuple[dict[str, Received], str], cast: Cast
) -> None:
    found, _ = arrived
    foreign = secret_of(make_endpoint(cast.wasp, "https://hook.example/"))
    assert hand_over(found["email.delivered"], secret=foreign) == (400, [])
