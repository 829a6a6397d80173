"""Messages in the console: the list, one with its timeline, and the contents behind a right."""

from uuid import UUID

import pytest
from django.test import Client

from accounts import actions as accounts
from accounts.roles import Role
from auditlog.models import Entry
from contacts import actions as contacts
from contacts.actions import Wanted
from contacts.models import Origin
from queensmtp.tenancy import tenant
from sending.models import DeliveryEvent, Message, Recipient
from tests.console import get, sign_in, text
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import bearer, make_key
from tests.roles import as_role

HOSTILE = "<img src=x onerror=alert(1)>"
REPLY = "250 2.0.0 Ok: queued as 4bXq2J1Z"
DELIVERED = {
    "attempt": 1,
    "claimed_at": "2026-11-21T22:00:00+00:00",
    "dkim": [{"d": "good.example", "s": "qs1", "a": "rsa-sha256"}],
    "mx_host": "mx1.customer.example",
    "tls_version": "TLSv1.3",
    "tls_cipher": "TLS_AES_256_GCM_SHA384",
    "code": 250,
    "enhanced_code": "2.0.0",
    "reply": REPLY,
}


@pytest.fixture
def alice(cast: Cast) -> Client:
    return sign_in(cast.alice.user)


@pytest.fixture
def token(cast: Cast) -> str:
    make_domain(cast.hive, "good.example")
    return make_key(cast.hive)[1]


def send(token: str, **fields: str) -> UUID:
    body = {"from": "a@good.example", "to": "dana@customer.example", "subject": "Hello", **fields}
    answer = Client().post(
        "/v1/emails", body, content_type="application/json", headers=bearer(token), secure=True
    )
    assert answer.status_code == 202, answer.content
    return UUID(answer.json()["id"])


def deliver(cast: Cast, message_id: UUID, **data: object) -> None:
    with tenant(cast.hive.pk):
        recipient = Recipient.objects.get(message_id=message_id)
    with tenant(cast.hive.pk), as_role("worker"):
        Recipient.objects.filter(pk=recipient.pk).update(state="delivered")
        DeliveryEvent.objects.create(
            account_id=cast.hive.pk,
            message_id=message_id,
            recipient_id=recipient.pk,
            type="email.delivered",
            data={**DELIVERED, **data},
        )


def page_of(client: Client, message_id: UUID, tail: str = "") -> str:
    return text(get(client, f"/console/messages/{message_id}{tail}"))


def test_the_timeline_tells_each_stage_with_its_proof(
    cast: Cast, alice: Client, token: str
) -> None:
    message_id = send(token, text="Hi")
    assert "Waits for its turn" in page_of(alice, message_id)
    deliver(cast, message_id)
    page = page_of(alice, message_id)
    for words in (
        "Accepted over API",
        "Claimed by a worker",
        "d=good.example s=qs1 a=rsa-sha256",
        "Delivered",
        "mx1.customer.example",
        "TLSv1.3",
        REPLY,
    ):
        assert words in page
    assert page.index("Accepted") < page.index("Claimed") < page.index("Signed")


def test_filters_live_in_the_address(cast: Cast, alice: Client, token: str) -> None:
    delivered = send(token, subject="First", text="x")
    deliver(cast, delivered)
    send(token, subject="Second", to="erin@customer.example", text="x")
    with tenant(cast.hive.pk):
        key_id = str(Message.objects.get(pk=delivered).key_id)

    def subjects(**query: str) -> set[str]:
        page = text(get(alice, "/console/messages", **query))
        return {subject for subject in ("First", "Second") if f">{subject}</a>" in page}

    assert subjects() == {"First", "Second"}
    assert subjects(status="delivered") == {"First"}
    assert subjects(recipient="ERIN@customer.example") == {"Second"}
    assert subjects(sender="a@good.example", key=key_id) == {"First", "Second"}
    assert subjects(since="2200-01-01") == set()
    assert subjects(until="2020-01-01") == set()
    assert subjects(status="nonsense") == set()
    assert subjects(domain="good.example") == {"First", "Second"}
    assert subjects(domain="other.example") == set()


def test_pages_are_walked_by_cursor(
    alice: Client, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sending.message_list_views.ROWS", 2)
    oldest, middle, newest = (send(token, subject=f"No {n}", text="x") for n in range(3))
    first = text(get(alice, "/console/messages"))
    assert (str(newest) in first, str(oldest) in first) == (True, False)
    older = text(get(alice, "/console/messages", after=str(middle)))
    assert (str(newest) in older, str(oldest) in older) == (False, True)
    newer = text(get(alice, "/console/messages", before=str(oldest)))
    assert str(newest) in newer


def test_opening_the_contents_is_recorded_once(cast: Cast, alice: Client, token: str) -> None:
    message_id = send(token, html="<p>Dear Dana</p>", text="Dear Dana, plainly")
    page = page_of(alice, message_id, "/contents")
    assert "Dear Dana, plainly" not in page
    frame = page.partition('<iframe sandbox title="Preview of the HTML body" src="')[2]
    preview = alice.get(frame.partition('"')[0], secure=True)
    assert "<p>Dear Dana</p>" in preview.content.decode()
    with tenant(cast.hive.pk):
        assert Entry.objects.filter(event="email.content_opened").count() == 1


def test_the_preview_does_not_open_past_the_record(alice: Client, token: str) -> None:
    message_id = send(token, html="<p>Dear Dana</p>")
    for query in ({}, {"opened": "forged"}):
        answer = get(alice, f"/console/messages/{message_id}/preview", **query)
        assert answer.status_code == 302
        assert answer.headers["Location"].endswith("/contents")


def test_the_preview_stands_in_a_sandbox_of_its_own(alice: Client, token: str) -> None:
    message_id = send(token, html=f'<p style="color: red">{HOSTILE}<script>alert(1)</script></p>')
    frame = page_of(alice, message_id, "/contents").partition('HTML body" src="')[2]
    preview = alice.get(frame.partition('"')[0], secure=True)
    policy = preview.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox; default-src 'none';")
    assert "unsafe" not in policy
    assert preview.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "alert" not in preview.content.decode()


@pytest.mark.parametrize("role", [Role.COMPLIANCE, Role.VIEWER])
def test_some_roles_see_the_message_without_its_contents(
    cast: Cast, token: str, role: Role
) -> None:
    message_id = send(token, text="For Dana only")
    with tenant(cast.hive.pk):
        accounts.change_role(membership=cast.bob.membership, role=role, by=cast.alice.actor)
    bob = sign_in(cast.bob.user)
    page = page_of(bob, message_id)
    assert "Not open to your role" in page
    assert "For Dana only" not in page
    for tail in ("/contents", "/preview"):
        assert get(bob, f"/console/messages/{message_id}{tail}").status_code == 403


def test_what_strangers_wrote_is_shown_as_text(cast: Cast, alice: Client, token: str) -> None:
    message_id = send(token, subject=HOSTILE, text=HOSTILE)
    deliver(cast, message_id, reply=HOSTILE, mx_host=HOSTILE)
    for path in (
        "/console",
        "/console/messages",
        f"/console/messages/{message_id}",
        f"/console/messages/{message_id}/contents",
        "/console/audit-log",
    ):
        assert HOSTILE not in text(get(alice, path))


def test_charlie_finds_nothing(cast: Cast, token: str) -> None:
    message_id = send(token, text="x")
    charlie = sign_in(cast.charlie.user)
    for tail in ("", "/contents", "/preview"):
        assert get(charlie, f"/console/messages/{message_id}{tail}").status_code == 404
    assert "No messages yet" in text(get(charlie, "/console/messages"))


def test_a_suppressed_recipient_leads_to_the_suppression(
    cast: Cast, alice: Client, token: str
) -> None:
    with tenant(cast.hive.pk):
        wanted = [Wanted("dana@customer.example", Origin.BOUNCE)]
        contacts.suppress(by=cast.alice.actor, wanted=wanted)
    page = page_of(alice, send(token, text="x"))
    link = "/console/suppressions?state=all&amp;search=dana%40customer.example"
    assert link in page
    found = text(get(alice, "/console/suppressions", state="all", search="dana@customer.example"))
    assert ">dana@customer.example</a>" in found
