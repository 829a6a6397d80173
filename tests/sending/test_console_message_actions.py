"""What people do with messages in the console: search, take a list along, cancel, resend."""

import csv
import io
import re
from uuid import UUID

import pytest
from django.test import Client

from accounts import actions as accounts
from accounts.roles import Role
from auditlog.models import Entry
from domains.models import Domain
from queensmtp.tenancy import tenant
from sending.models import Message, Recipient
from sending.serializers import content_of
from tests.console import get, post, sign_in, text
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.roles import as_role

FORMULA = '=HYPERLINK("http://evil.example","x")'


@pytest.fixture
def alice(cast: Cast) -> Client:
    make_domain(cast.hive, "hive.example")
    return sign_in(cast.alice.user)


def states(cast: Cast, email_id: UUID) -> list[str]:
    with tenant(cast.hive.pk):
        found = Recipient.objects.filter(message_id=email_id).values_list("state", flat=True)
        return list(found)


def test_finds_messages_by_subject_and_tag(cast: Cast, alice: Client) -> None:
    make_email(cast.hive, subject="Your order 17", tags=[{"name": "kind", "value": "order"}])
    make_email(cast.hive, subject="Reset", tags=[{"name": "kind", "value": "reset"}])

    def subjects(**query: str) -> set[str]:
        page = text(get(alice, "/console/messages", **query))
        return {one for one in ("Your order 17", "Reset") if f">{one}</a>" in page}

    assert subjects(subject="ORDER") == {"Your order 17"}
    assert subjects(tag="kind") == {"Your order 17", "Reset"}
    assert subjects(tag="kind=reset") == {"Reset"}
    assert subjects(tag="kind=reset", subject="order") == set()
    assert "looked through" not in text(get(alice, "/console/messages", subject="order"))


def test_words_are_looked_for_as_far_back_as_one_likes_so_many_at_a_time(
    cast: Cast, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sending.word_search.LOOKED_THROUGH", 2)
    for number in range(5):
        make_email(cast.hive, subject="Wanted" if number in (0, 3) else "Other")
    found, walked = [], []
    query = {"subject": "wanted"}
    for _ in range(3):
        page = text(get(alice, "/console/messages", **query))
        found.append(page.count(">Wanted</a>"))
        walked.append("looked through 2 messages, back to" in page)
        older = re.findall(r'href="\?[^"]*after=([0-9a-f-]{36})', page)
        query = {**query, "after": older[-1] if older else ""}
    assert (found, walked) == ([1, 0, 1], [True, True, False])
    assert older == []


def test_a_full_page_of_words_goes_on_where_it_ended(
    cast: Cast, alice: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sending.message_list_views.ROWS", 1)
    monkeypatch.setattr("sending.word_search.LOOKED_THROUGH", 4)
    ids = [str(make_email(cast.hive, subject="Wanted")) for _ in range(3)]
    seen, query = [], {"subject": "wanted"}
    for _ in range(3):
        page = text(get(alice, "/console/messages", **query))
        seen.append(next(one for one in ids if f"/console/messages/{one}" in page))
        query["after"] = seen[-1]
    assert seen == ids[::-1]


def test_a_position_of_another_account_shows_nothing_of_it(cast: Cast, alice: Client) -> None:
    make_domain(cast.wasp, "wasp.example")
    foreign = make_email(cast.wasp, sender="a@wasp.example", subject="Wanted, foreign")
    own = make_email(cast.hive, subject="Wanted")
    page = text(get(alice, "/console/messages", subject="wanted", after=str(foreign)))
    assert "foreign" not in page and str(own) not in page
    assert get(alice, "/console/messages", subject="wanted", after="x").status_code == 400


def test_takes_the_filtered_list_along(cast: Cast, alice: Client) -> None:
    wanted = make_email(cast.hive, subject=FORMULA, to=["ann@wasp.example", "bea@wasp.example"])
    make_email(cast.hive, subject="Other", sender="other@hive.example")

    response = get(alice, "/console/messages.csv", sender="hello@hive.example")

    assert response["Content-Type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(text(response)))
    assert (row["id"], row["status"]) == (str(wanted), "queued")
    assert row["recipients"] == "ann@wasp.example queued, bea@wasp.example queued"
    assert row["subject"] == "'" + FORMULA
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="emails.exported")
    assert (entry.count, entry.changes) == (1, {"sender": "hello@hive.example"})


def test_cancels_after_asking(cast: Cast, alice: Client) -> None:
    email_id = make_email(cast.hive, scheduled_at="in 1 hour")
    path = f"/console/messages/{email_id}/cancel"

    assert "ann@wasp.example" in text(get(alice, path))
    assert states(cast, email_id) == ["scheduled"]
    assert post(alice, path).status_code == 302

    assert states(cast, email_id) == ["canceled"]
    page = text(get(alice, f"/console/messages/{email_id}"))
    assert "Canceled" in page
    assert "Nothing of it waits" in text(get(alice, path))
    assert post(alice, path).status_code == 302
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="email.canceled")
    assert (entry.actor_type, entry.target_id) == ("user", str(email_id))


def test_sends_again_as_a_message_of_its_own(cast: Cast, alice: Client) -> None:
    email_id = make_email(
        cast.hive,
        to=["ann@wasp.example"],
        bcc="cy@wasp.example",
        html="<b>Hi</b>",
        attachments=[{"filename": "a.txt", "content": "aGk="}],
        tags=[{"name": "kind", "value": "order"}],
    )
    with as_role("worker"):
        Recipient.objects.update(state="bounced")

    answer = post(alice, f"/console/messages/{email_id}/resend")

    copy_id = UUID(answer.headers["Location"].rpartition("/")[2])
    assert copy_id != email_id
    assert states(cast, copy_id) == ["queued", "queued"]
    with tenant(cast.hive.pk):
        copy, original = Message.objects.get(pk=copy_id), Message.objects.get(pk=email_id)
        assert content_of(copy) == content_of(original)
        assert (copy.to, copy.bcc, copy.tags) == (original.to, original.bcc, original.tags)
        assert (copy.via, copy.key_id) == ("console", None)
        assert copy.message_id != original.message_id
        entry = Entry.objects.get(event="email.resent")
        assert (entry.target_id, entry.changes["of"]) == (str(copy_id), str(email_id))
    assert "sent again" in text(get(alice, f"/console/messages/{copy_id}"))


def test_what_cannot_be_sent_again_is_not(cast: Cast, alice: Client) -> None:
    email_id = make_email(cast.hive)
    path = f"/console/messages/{email_id}/resend"
    with as_role("worker"):
        Message.objects.update(content=None)
    assert b"no longer kept" in alice.post(path, secure=True, follow=True).content
    with tenant(cast.hive.pk):
        Domain.objects.update(status="failed", can_send=False)
    assert b"not verified" in alice.post(path, secure=True, follow=True).content
    with tenant(cast.hive.pk):
        assert Message.objects.count() == 1
        assert not Entry.objects.filter(event="email.resent").exists()


def test_each_view_of_the_contents_shows_its_own(cast: Cast, alice: Client) -> None:
    email_id = make_email(
        cast.hive, text="Plainly", html="<i>Nicely</i>", headers={"X-Order": "17"}
    )

    def shown(show: str) -> str:
        return text(get(alice, f"/console/messages/{email_id}/contents", show=show))

    assert "Plainly" in shown("text")
    assert "&lt;i&gt;Nicely&lt;/i&gt;" in shown("html")
    assert "X-Order" in shown("headers")
    raw = shown("raw")
    assert "X-Order: 17" in raw and f"Message-ID: &lt;{email_id}@hive.example&gt;" in raw
    assert get(alice, f"/console/messages/{email_id}/contents", show="x").status_code == 404


def test_neighbours_are_one_click_away(cast: Cast, alice: Client) -> None:
    oldest, middle, newest = (make_email(cast.hive) for _ in range(3))
    page = text(get(alice, f"/console/messages/{middle}"))
    assert f"/console/messages/{newest}" in page
    assert f"/console/messages/{oldest}" in page


def test_who_may_only_read_changes_nothing(cast: Cast, alice: Client) -> None:
    email_id = make_email(cast.hive, scheduled_at="in 1 hour")
    with tenant(cast.hive.pk):
        accounts.change_role(membership=cast.bob.membership, role=Role.VIEWER, by=cast.alice.actor)
    bob = sign_in(cast.bob.user)
    assert "Cancel" not in text(get(bob, f"/console/messages/{email_id}"))
    for what in ("cancel", "resend"):
        assert post(bob, f"/console/messages/{email_id}/{what}").status_code == 403
    assert states(cast, email_id) == ["scheduled"]
