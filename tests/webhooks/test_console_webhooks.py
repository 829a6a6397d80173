"""Webhooks in the console: endpoints, secrets behind a step-up, deliveries, how to verify."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import standardwebhooks
from django.test import Client

from accounts import stepup
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from tests.console import get, post, sign_in, text
from tests.factories.cast import Cast
from tests.factories.webhooks import deliver, enqueue, make_endpoint, make_event, secret_of
from tests.http_receiver import HttpReceiver, answer
from webhooks import signing, verifying
from webhooks.models import Delivery, Endpoint
from webhooks.payloads import EVENT_TYPES

PATH = "/console/webhooks"
URL = "https://hook.example/in"
HOSTILE = "<img src=x onerror=alert(1)>"


@pytest.fixture
def alice(cast: Cast) -> Client:
    return sign_in(cast.alice.user)


@pytest.fixture
def endpoint(cast: Cast) -> Endpoint:
    return make_endpoint(cast.hive, URL)


def page_of(endpoint: Endpoint, rest: str = "") -> str:
    return f"{PATH}/{endpoint.pk}{rest}"


def fresh(endpoint: Endpoint) -> Endpoint:
    with tenant(endpoint.account_id):
        return Endpoint.objects.get(pk=endpoint.pk)


def test_an_endpoint_is_added_and_shown(cast: Cast, alice: Client) -> None:
    body = {"endpoint": URL, "events": ["email.sent", "email.bounced"], "ordered": "on"}
    response = post(alice, f"{PATH}/new", body)

    assert response.status_code == 302
    with tenant(cast.hive.pk):
        made = Endpoint.objects.get()
    assert (made.url, made.events, made.is_ordered) == (URL, ["email.sent", "email.bounced"], True)
    assert response["Location"] == page_of(made)
    assert URL in text(get(alice, PATH))
    assert "whsec_" not in text(get(alice, page_of(made)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"endpoint": "http://hook.example/"}, "https://"),
        ({"endpoint": "https://10.0.0.1/"}, "not a public one"),
        ({"endpoint": "https://***@hook.example/"}, "write the credentials out"),
        ({"events": []}, "This field is required"),
        ({"events": ["email.telepathy"]}, "not one of the available choices"),
    ],
)
def test_a_wrong_form_keeps_what_was_typed_and_says_why(
    cast: Cast, alice: Client, change: dict[str, Any], says: str
) -> None:
    body = {"endpoint": URL, "events": ["email.sent"], **change}
    page = text(post(alice, f"{PATH}/new", body))
    assert says in page
    assert str(body["endpoint"]) in page
    with tenant(cast.hive.pk):
        assert not Endpoint.objects.exists()


def test_credentials_are_never_shown_and_are_kept_by_the_mask(cast: Cast, alice: Client) -> None:
    endpoint = make_endpoint(cast.hive, "https://user:secret@hook.example/")
    page = text(get(alice, page_of(endpoint, "/edit")))
    assert "secret@" not in page
    assert "https://***@hook.example/" in page

    body = {"endpoint": "https://***@hook.example/", "events": ["email.sent"]}
    assert post(alice, page_of(endpoint, "/edit"), body).status_code == 302
    assert fresh(endpoint).credentials is not None
    assert fresh(endpoint).events == ["email.sent"]


def test_the_secret_is_shown_on_one_page_that_nobody_stores_and_the_log_says_so(
    cast: Cast, alice: Client, endpoint: Endpoint
) -> None:
    response = post(alice, page_of(endpoint, "/secret"))

    assert secret_of(endpoint) in text(response)
    assert "no-store" in response["Cache-Control"]
    assert get(alice, page_of(endpoint, "/secret")).status_code == 405
    with tenant(cast.hive.pk):
        entry = Entry.objects.filter(event="webhook.secret_revealed").earliest("id")
    assert (entry.actor_type, entry.target_id) == ("user", str(endpoint.pk))


@pytest.mark.parametrize("page", ["/secret", "/rotate"])
def test_secrets_ask_for_a_confirmation(
    alice: Client, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    monkeypatch.setattr(stepup, "is_freshly_confirmed", lambda request: False)
    response = post(alice, page_of(endpoint, page), {"overlap": "0"})
    assert response.status_code == 302
    assert "reauthenticate" in response["Location"]


def test_after_a_rotation_the_page_says_until_when_the_old_secret_signs(
    cast: Cast, alice: Client, endpoint: Endpoint
) -> None:
    before = secret_of(endpoint)
    response = post(alice, page_of(endpoint, "/rotate"), {"overlap": "3600"})

    assert response.status_code == 302
    assert secret_of(endpoint) != before
    assert "an old secret signs too, until" in text(get(alice, page_of(endpoint)))


def test_disabling_and_enabling(alice: Client, endpoint: Endpoint) -> None:
    post(alice, page_of(endpoint, "/disable"))
    assert fresh(endpoint).status == "disabled"
    assert "Nothing is sent to it" in text(get(alice, page_of(endpoint)))
    post(alice, page_of(endpoint, "/enable"))
    assert fresh(endpoint).is_enabled


def test_a_removed_endpoint_is_gone(alice: Client, endpoint: Endpoint) -> None:
    assert URL in text(get(alice, page_of(endpoint, "/remove")))
    assert fresh(endpoint).removed_at is None
    post(alice, page_of(endpoint, "/remove"))
    assert fresh(endpoint).removed_at is not None
    assert get(alice, page_of(endpoint)).status_code == 404


def test_the_log_shows_request_answer_and_time_and_escapes_what_strangers_wrote(
    cast: Cast, alice: Client
) -> None:
    with HttpReceiver(answer(500, HOSTILE.encode()), answer(200)) as receiver:
        endpoint = make_endpoint(cast.hive, receiver.url)
        event = make_event(subject=HOSTILE)
        enqueue(cast.hive, event)
        deliver()
        deliver(now=datetime.now(UTC) + timedelta(seconds=6))

    listed = text(get(alice, page_of(endpoint)))
    shown = text(get(alice, page_of(endpoint, f"/events/{event.id}")))

    assert str(event.id) in listed
    assert re.search(r"\d+ ms", listed)
    assert HOSTILE not in shown
    assert "&lt;img src=x onerror=alert(1)&gt;" in shown
    assert shown.count('data-label="Answer"') == 2


def test_deliveries_are_filtered_and_paged(cast: Cast, alice: Client, endpoint: Endpoint) -> None:
    events = [make_event() for _ in range(30)]
    enqueue(cast.hive, *events)

    first = text(get(alice, page_of(endpoint)))
    second = text(get(alice, page_of(endpoint), after=str(events[5].id)))

    assert str(events[29].id) in first
    assert str(events[4].id) not in first
    assert str(events[4].id) in second
    assert "No delivery matches" in text(get(alice, page_of(endpoint), status="failed"))
    assert get(alice, page_of(endpoint), after="nonsense").status_code == 400


def test_one_and_all_failed_are_sent_again(cast: Cast, alice: Client, endpoint: Endpoint) -> None:
    events = [make_event() for _ in range(3)]
    enqueue(cast.hive, *events)
    with tenant(cast.hive.pk):
        Delivery.objects.update(state="failed", finished_at=datetime.now(UTC))

    post(alice, page_of(endpoint, f"/events/{events[0].id}/replay"))
    with tenant(cast.hive.pk):
        assert Delivery.objects.filter(state="pending").count() == 1
    post(alice, page_of(endpoint, "/resend"), {"hours": "1"})
    with tenant(cast.hive.pk):
        assert Delivery.objects.filter(state="pending").count() == 3


def test_a_test_event_leads_to_its_page(cast: Cast, alice: Client, endpoint: Endpoint) -> None:
    response = post(alice, page_of(endpoint, "/test"), {"type": "email.bounced"})
    with tenant(cast.hive.pk):
        delivery = Delivery.objects.get()
    assert response["Location"] == page_of(endpoint, f"/events/{delivery.event_id}")
    assert "Not tried yet" in text(get(alice, response["Location"]))


def test_a_signature_is_checked_against_what_was_sent(
    cast: Cast, alice: Client, endpoint: Endpoint
) -> None:
    event = make_event()
    enqueue(cast.hive, event)
    with tenant(cast.hive.pk):
        body = bytes(Delivery.objects.get().body)
    path = page_of(endpoint, f"/events/{event.id}")
    last_week = int(time.time()) - 7 * 86_400
    headers = signing.sign(
        secrets=[secret_of(endpoint)], id=str(event.id), timestamp=last_week, body=body
    )
    other = signing.sign(
        secrets=[signing.new_secret()], id=str(event.id), timestamp=last_week, body=body
    )

    assert "It is genuine" in text(post(alice, path, {"header": headers[signing.SIGNATURE_HEADER]}))
    for wrong in (other[signing.SIGNATURE_HEADER], "t=1", "x" * 500):
        page = text(post(alice, path, {"header": wrong}))
        assert "It is genuine" not in page
        assert "Either it was made with a secret" in page


def test_the_catalogue_and_the_code_are_shown(alice: Client) -> None:
    types = text(get(alice, f"{PATH}/events"))
    assert all(f'id="{name}"' in types for name in EVENT_TYPES)
    shown = text(get(alice, f"{PATH}/verify"))
    assert all(f'id="code-{one.id}"' in shown for one in verifying.SNIPPETS)


@pytest.mark.parametrize("code", [verifying.PYTHON_STANDARD, verifying.PYTHON_SVIX])
def test_the_code_for_python_verifies_what_we_send_and_nothing_else(code: str) -> None:
    names: dict[str, Any] = {}
    exec(code, names)
    secret, body = signing.new_secret(), b'{"type":"email.sent"}'
    headers = signing.sign(secrets=[secret], id="e1", timestamp=int(time.time()), body=body)

    assert names["receive"](body, headers, secret)["type"] == "email.sent"
    with pytest.raises(Exception, match="No matching signature"):
        names["receive"](body, headers, signing.new_secret())
    assert standardwebhooks.Webhook(secret).verify(body, headers)


def test_the_code_without_a_library_verifies_too() -> None:
    names: dict[str, Any] = {}
    exec(verifying.PYTHON_ALONE, names)
    secret = signing.new_secret()
    headers = signing.sign(secrets=[secret], id="e1", timestamp=int(time.time()), body=b"{}")
    header = headers[signing.SIGNATURE_HEADER]

    assert names["is_genuine"](secret, header, b"{}")
    assert not names["is_genuine"](secret, header, b"{ }")
