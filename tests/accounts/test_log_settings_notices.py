"""Admins are told who had data erased from the audit log, and where it is sent."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from accounts import log_settings_notices, notices
from accounts.models import Notice
from auditlog import erasing, streaming
from queensmtp.tenancy import tenant
from tests.factories.auditlog import key_actor
from tests.factories.cast import Cast
from tests.roles import as_role

pytestmark = pytest.mark.django_db


def tell(later: timedelta = timedelta()) -> int:
    with as_role("worker"):
        return log_settings_notices.tell_changed(now=timezone.now() + later)


def test_an_erasure_is_told_to_admins_once_a_day_for_each_who_asks(cast: Cast) -> None:
    key = key_actor(cast.hive.pk)
    with tenant(cast.hive.pk):
        for name in ("dana@customer.example", "erin@customer.example"):
            erasing.request(by=key, query={"q": [name]})
    assert (tell(), tell()) == (1, 0)
    with tenant(cast.hive.pk):
        erasing.request(by=cast.alice.actor, query={"q": ["dana@customer.example"]})
    assert (tell(), tell()) == (1, 0)
    with as_role("worker"):
        notices.send_due()
    assert {message.to[0] for message in mail.outbox} == {"alice@alice.example"}
    assert mail.outbox[0].subject == "Newsletter had data erased from your audit log"
    assert "/console/audit-log/retention" in mail.outbox[0].body
    assert "customer.example" not in str(mail.outbox[0].message())


def test_a_new_stream_is_told_without_what_may_be_its_token(cast: Cast) -> None:
    chosen = streaming.Chosen("https", "https://siem.example/in?token=s3cret", "ecs")
    with tenant(cast.hive.pk):
        streaming.create(by=key_actor(cast.hive.pk), chosen=chosen)
    assert (tell(), tell()) == (1, 0)
    with tenant(cast.hive.pk):
        notice = Notice.objects.get()
    assert (notice.to_right, notice.subject) == (
        "account:write",
        "Your audit log is sent to a new place",
    )
    assert "https://siem.example/in?…" in notice.text and "s3cret" not in notice.text
    with tenant(cast.wasp.pk):
        assert not Notice.objects.exists()


def test_what_is_long_past_is_not_told(cast: Cast) -> None:
    with tenant(cast.hive.pk):
        erasing.request(by=cast.alice.actor, query={"q": ["dana@customer.example"]})
    assert tell(timedelta(days=2)) == 0
