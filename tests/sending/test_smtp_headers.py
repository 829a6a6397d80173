"""Tags and a scheduled time by header: what the API has fields for, over SMTP."""

from datetime import UTC, datetime, timedelta

import pytest

from queensmtp.tenancy import tenant
from sending.models import Message, Recipient
from sending.serializers import content_of
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import make_key
from tests.sending.test_submission_port import CONTENT, send


@pytest.fixture
def token(cast: Cast) -> str:
    make_domain(cast.hive, "hive.example")
    return make_key(cast.hive)[1]


def test_tags_are_taken_and_stay_behind(cast: Cast, token: str) -> None:
    tagged = b"X-QueenSMTP-Tags: kind=order, client=hive\r\n" + CONTENT
    assert send(token, tagged).startswith("250 ")

    with tenant(cast.hive.pk):
        message = Message.objects.get()
        content = content_of(message)
    assert message.tags == [
        {"name": "kind", "value": "order"},
        {"name": "client", "value": "hive"},
    ]
    assert content is not None and content.headers == ()


def test_a_scheduled_message_waits(cast: Cast, token: str) -> None:
    later = b"X-QueenSMTP-Scheduled-At: in 1 hour\r\n" + CONTENT
    assert send(token, later).startswith("250 ")

    with tenant(cast.hive.pk):
        assert Recipient.objects.get().state == "scheduled"
        scheduled_at = Message.objects.get().scheduled_at
    assert scheduled_at is not None
    assert scheduled_at - datetime.now(UTC) > timedelta(minutes=59)


@pytest.mark.parametrize(
    "header",
    [
        b"X-QueenSMTP-Tags: k\xc3\xa4se=1",
        b"X-QueenSMTP-Tags: a b=1",
        b"X-QueenSMTP-Scheduled-At: soon",
        b"X-QueenSMTP-Scheduled-At: in 1 min\r\nX-QueenSMTP-Scheduled-At: in 2 min",
    ],
)
def test_what_cannot_be_read_is_refused(cast: Cast, token: str, header: bytes) -> None:
    assert send(token, header + b"\r\n" + CONTENT).startswith("554 5.6.0 ")
    with tenant(cast.hive.pk):
        assert Message.objects.count() == 0
