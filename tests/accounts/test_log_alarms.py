"""Members who may read the log are told when it is not what was signed."""

import pytest
from django.core import mail
from django.utils import timezone

from accounts import log_alarms, notices
from accounts.models import Notice
from auditlog import actions
from auditlog.models import Alarm, Entry, Head
from queensmtp.tenancy import tenant
from tests.factories.auditlog import record_many, seal
from tests.factories.cast import Cast
from tests.roles import as_role

pytestmark = pytest.mark.django_db


def tell() -> int:
    with as_role("worker"):
        return log_alarms.tell_raised(now=timezone.now())


def put_the_head_back(cast: Cast) -> None:
    """As a thief with the worker's rights could, past its trigger by growing."""
    record_many(2, cast.hive.pk)
    seal()
    with as_role("worker"):
        Head.objects.filter(account_id=cast.hive.pk).update(size=1_000)
    record_many(1, cast.hive.pk)
    for _ in range(3):
        assert seal().set_aside == frozenset({cast.hive.pk})


def test_a_head_that_does_not_fit_is_told_once_to_those_who_may_read_the_log(cast: Cast) -> None:
    put_the_head_back(cast)
    assert (tell(), tell()) == (1, 0)
    with as_role("worker"):
        notices.send_due()
    assert {message.to[0] for message in mail.outbox} == {"alice@alice.example", "bob@bob.example"}
    message = mail.outbox[0]
    assert message.subject == "Your audit log is not what was signed"
    assert "The process that seals your audit log found" in message.body
    assert "the head counts 1000 leaves" in message.body
    assert "/console/audit-log" in message.body
    with tenant(cast.wasp.pk):
        assert not Notice.objects.exists()


def test_it_is_one_entry_however_often_the_sealer_finds_it(cast: Cast) -> None:
    put_the_head_back(cast)
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="audit_checkpoint.disputed")
        assert Alarm.objects.count() == 1
    assert (entry.actor_id, entry.outcome) == ("sealer", "failed")
    assert entry.changes["reason"].startswith("the head counts 1000 leaves")


def test_what_a_witness_objects_to_is_told_too(cast: Cast) -> None:
    with as_role("worker"):
        for _ in range(2):
            actions.raise_alarm(
                account_id=cast.hive.pk,
                reason="the witness holds another history of this log",
                found_by="witness",
            )
    assert (tell(), tell()) == (1, 0)
    with tenant(cast.hive.pk):
        assert "The witness that countersigns your audit log found" in Notice.objects.get().text
