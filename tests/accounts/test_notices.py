"""E-mails to members: told in the action's transaction, sent by a worker."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends import locmem
from django.db import transaction
from django.utils import timezone

from accounts import notices
from accounts.actions import remove_member
from accounts.models import Notice
from accounts.roles import Right
from queensmtp.actors import system_actor
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.roles import as_role

pytestmark = pytest.mark.django_db


def tell(
    account: Any, *, to: Right = Right.ACCOUNT_WRITE, once: str = "", text: str = "Look."
) -> None:
    with tenant(account.pk):
        notices.tell(
            account_id=account.pk,
            to=to,
            kind="api_key.leaked",
            subject="A key\nleaked",
            text=text,
            once=once,
        )


def send() -> int:
    with as_role("worker"):
        return notices.send_due()


class Refusing(locmem.EmailBackend):
    def send_messages(self, messages: Any) -> int:
        raise ConnectionRefusedError("no server")


@pytest.fixture
def no_server(settings: Any) -> Iterator[None]:
    settings.EMAIL_BACKEND = f"{__name__}.Refusing"
    yield


def test_members_with_the_right_are_told_and_nobody_else(cast: Cast) -> None:
    tell(cast.hive)

    assert send() == 1

    [message] = mail.outbox
    assert message.to == ["alice@alice.example"]
    assert message.subject == "A key leaked"
    assert message.body.startswith("Look.\n")
    assert "member of Hive" in message.body
    assert message.extra_headers["Auto-Submitted"] == "auto-generated"


def test_each_member_gets_a_message_of_their_own(cast: Cast) -> None:
    tell(cast.hive, to=Right.KEYS_WRITE)
    send()
    assert [message.to for message in mail.outbox] == [
        ["alice@alice.example"],
        ["bob@bob.example"],
    ]


def test_who_left_the_account_is_told_no_more(cast: Cast) -> None:
    tell(cast.hive, to=Right.KEYS_WRITE)
    with tenant(cast.hive.pk):
        remove_member(membership=cast.bob.membership, by=system_actor(cast.hive.pk, "tests"))
    send()
    assert [message.to for message in mail.outbox] == [["alice@alice.example"]]


def test_sending_twice_sends_once(cast: Cast) -> None:
    tell(cast.hive)
    assert send() == 1
    assert send() == 0
    assert len(mail.outbox) == 1


def test_the_same_thing_is_told_once_in_each_account(cast: Cast) -> None:
    tell(cast.hive, once="key-1")
    tell(cast.hive, once="key-1")
    tell(cast.hive, once="key-2")
    tell(cast.wasp, once="key-1")
    assert send() == 3


def test_a_notice_of_a_change_that_was_taken_back_is_never_sent(cast: Cast) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        tell(cast.hive)
        raise RuntimeError
    assert send() == 0


def test_a_secret_is_kept_out(cast: Cast) -> None:
    tell(cast.hive, text="qs_prod_" + "a" * 54)
    send()
    assert "a" * 13 not in mail.outbox[0].body


@pytest.mark.usefixtures("no_server")
def test_a_notice_waits_for_a_mail_server_that_is_down_and_is_given_up_in_the_end(
    cast: Cast,
) -> None:
    tell(cast.hive)
    for expected in range(1, len(notices.RETRY_SECONDS) + 2):
        assert send() == 1
        assert send() == 0
        with as_role("worker"):
            assert Notice.objects.get().attempt_count == expected
            Notice.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    with as_role("worker"):
        notice = Notice.objects.get()
    assert notice.was_sent is False
    assert send() == 0


def test_another_account_does_not_see_it(cast: Cast) -> None:
    tell(cast.hive)
    with tenant(cast.wasp.pk):
        assert not Notice.objects.exists()
