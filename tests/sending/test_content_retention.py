"""How long the contents of messages are kept, and that they go then, and only they."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Account
from auditlog.models import Entry
from queensmtp.tenancy import tenant
from sending import content_retention, tasks
from sending.models import ContentRetention, Message, Recipient
from sending.states import State
from tests.console import get, post, sign_in
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.factories.keys import bearer, make_key
from tests.roles import as_role

pytestmark = pytest.mark.django_db


def in_days(days: float) -> datetime:
    return timezone.now() + timedelta(days=days)


def accepted(account: Account, **body: Any) -> Message:
    id = make_email(account, **body)
    with tenant(account.pk):
        return Message.objects.get(pk=id)


def finish(message: Message, state: State = State.DELIVERED) -> None:
    with tenant(message.account_id):
        Recipient.objects.filter(message=message).update(state=state, finished_at=timezone.now())


def drop(now: datetime) -> int:
    with as_role("worker"):
        return content_retention.drop_due(now=now)


def is_kept(message: Message) -> bool:
    with tenant(message.account_id):
        return Message.objects.get(pk=message.pk).content is not None


def events(cast: Cast) -> list[tuple[str, object]]:
    with tenant(cast.hive.pk):
        found = Entry.objects.of_account(cast.hive.pk).order_by("id")
        return [(one.event, one.changes) for one in found if "content_retention" in one.event]


@pytest.fixture
def message(cast: Cast) -> Message:
    make_domain(cast.hive, "hive.example")
    return accepted(cast.hive)


def test_contents_go_after_thirty_days_and_everything_else_stays(
    cast: Cast, message: Message
) -> None:
    finish(message)
    assert drop(in_days(29.9)) == 0
    assert is_kept(message)
    assert drop(in_days(30.1)) == 1
    assert not is_kept(message)
    with tenant(cast.hive.pk):
        left = Message.objects.get(pk=message.pk)
        assert (left.subject, left.to) == (message.subject, message.to)
        assert Recipient.objects.filter(message=message).exists()
    [(event, changes)] = events(cast)
    assert event == "content_retention.applied"
    assert isinstance(changes, dict) and changes["messages"] == 1


def test_a_second_run_drops_and_tells_nothing_more(cast: Cast, message: Message) -> None:
    finish(message)
    assert drop(in_days(31)) == 1
    assert drop(in_days(32)) == 0
    assert len(events(cast)) == 1


def test_what_is_under_way_keeps_its_contents_and_loses_them_later(
    cast: Cast, message: Message
) -> None:
    assert drop(in_days(40)) == 0
    later = accepted(cast.hive)
    finish(later)
    assert drop(in_days(41)) == 1
    finish(message)
    assert drop(in_days(42)) == 1
    assert not is_kept(message) and not is_kept(later)


def test_scheduled_mail_is_kept_from_when_it_was_to_leave(cast: Cast, message: Message) -> None:
    with as_role("worker"):
        Message.objects.update(scheduled_at=in_days(20))
    finish(message)
    assert drop(in_days(49)) == 0
    assert drop(in_days(51)) == 1


def test_no_days_are_until_the_end_state(cast: Cast, message: Message) -> None:
    with tenant(cast.hive.pk):
        content_retention.keep_for(by=cast.alice.actor, days=0)
    assert drop(in_days(0.001)) == 0
    finish(message)
    assert drop(in_days(0.002)) == 1


def test_days_of_one_account_are_not_those_of_another(cast: Cast, message: Message) -> None:
    make_domain(cast.wasp, "wasp.example")
    theirs = accepted(cast.wasp, sender="a@wasp.example")
    finish(message)
    finish(theirs)
    with tenant(cast.hive.pk):
        content_retention.keep_for(by=cast.alice.actor, days=1)
    assert drop(in_days(2)) == 1
    assert is_kept(theirs)


def test_more_than_fit_into_one_transaction_go_too(
    cast: Cast, message: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content_retention, "AT_ONCE", 2)
    for one in [message, *(accepted(cast.hive) for _ in range(4))]:
        finish(one)
    assert drop(in_days(31)) == 5


def test_an_account_is_looked_at_once_an_hour(cast: Cast, message: Message) -> None:
    finish(message)
    drop(in_days(30 - 0.02))
    assert drop(in_days(30 + 0.01)) == 0
    assert drop(in_days(30 + 0.03)) == 1


def test_the_api_and_the_page_say_that_the_contents_are_gone(cast: Cast, message: Message) -> None:
    finish(message)
    drop(in_days(31))
    _, token = make_key(cast.hive, scopes=("email:read",))
    answer = Client().get(f"/v1/emails/{message.pk}", headers=bearer(token))
    assert answer.status_code == 200
    assert (answer.json()["html"], answer.json()["text"]) == (None, None)
    assert get(sign_in(cast.alice.user), f"/console/messages/{message.pk}").status_code == 200


def test_the_task_drops_what_is_due_now(cast: Cast, message: Message, settings: Any) -> None:
    settings.MESSAGE_CONTENT_DAYS = 0
    finish(message)
    with as_role("worker"):
        assert tasks.drop_contents() == 1


def test_an_owner_chooses_the_days_on_the_page(cast: Cast) -> None:
    client = sign_in(cast.alice.user)
    assert b"for 30 days" in get(client, "/console/queue").content
    assert post(client, "/console/queue/contents", {"days": "7"}).status_code == 302
    assert b"for 7 days" in get(client, "/console/queue").content
    post(client, "/console/queue/contents", {"days": "7"})
    assert events(cast) == [("content_retention.changed", {"days": {"before": 30, "after": 7}})]


@pytest.mark.parametrize("days", ["-1", "366", "", "soon"])
def test_days_that_are_none_are_told_beside_their_field(cast: Cast, days: str) -> None:
    answer = post(sign_in(cast.alice.user), "/console/queue/contents", {"days": days})
    assert answer.status_code == 422
    with tenant(cast.hive.pk):
        assert not ContentRetention.objects.exists()


def test_a_developer_changes_no_days_and_charlie_only_his_own(cast: Cast) -> None:
    assert post(sign_in(cast.bob.user), "/console/queue/contents", {"days": "1"}).status_code == 403
    post(sign_in(cast.charlie.user), "/console/queue/contents", {"days": "1"})
    with tenant(cast.hive.pk):
        assert content_retention.days_of(cast.hive.pk) == 30
