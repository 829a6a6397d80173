from pathlib import Path

import orjson
import pytest
from django.conf import LazySettings
from django.db import DatabaseError, transaction
from django.utils import timezone

from auditlog import checkpoints, log_keys, publication
from auditlog.models import Checkpoint, Head, PublicationRequest
from queensmtp.errors import NotFound
from queensmtp.tenancy import tenant
from tests.factories.auditlog import CHARLIES, HIVE, record_many, seal
from tests.roles import as_role

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(settings: LazySettings, tmp_path: Path) -> Path:
    path = tmp_path / "audit" / "checkpoints.jsonl"
    settings.AUDIT_CHECKPOINTS_FILE = str(path)
    return path


def publish_all() -> int:
    with as_role("worker"):
        return publication.publish_due(now=timezone.now())


def test_a_head_that_was_asked_for_is_published_within_the_hour() -> None:
    for account_id in (HIVE, CHARLIES):
        record_many(1, account_id)
    seal()
    assert publish_all() == 2
    for account_id in (HIVE, CHARLIES):
        record_many(1, account_id)
    seal()
    with tenant(HIVE):
        publication.ask(account_id=HIVE)
        publication.ask(account_id=HIVE)
    assert publish_all() == 1
    with tenant(HIVE):
        assert list(Checkpoint.objects.values_list("size", flat=True).order_by("size")) == [1, 2]
        assert not PublicationRequest.objects.exists()
    assert publish_all() == 0


def test_an_export_publishes_at_once_and_a_second_time_changes_nothing() -> None:
    record_many(3)
    seal()
    with as_role("worker"):
        first = publication.publish(account_id=HIVE, now=timezone.now())
        again = publication.publish(account_id=HIVE, now=timezone.now())
    assert first == again and first.size == 3
    with tenant(HIVE):
        assert Head.objects.get().published_size == 3


def test_what_is_not_sealed_cannot_be_published() -> None:
    record_many(1)
    with as_role("worker"), pytest.raises(NotFound):
        publication.publish(account_id=HIVE, now=timezone.now())


def test_a_web_process_cannot_publish() -> None:
    record_many(1)
    seal()
    with tenant(HIVE), pytest.raises(DatabaseError, match="permission denied"):
        publication.publish(account_id=HIVE, now=timezone.now())


def test_nobody_asks_for_another_account() -> None:
    with tenant(HIVE), pytest.raises(DatabaseError, match="row-level"), transaction.atomic():
        publication.ask(account_id=CHARLIES)


def test_published_checkpoints_are_numbered_in_their_order() -> None:
    for account_id in (HIVE, CHARLIES, HIVE):
        record_many(1, account_id)
        seal()
        with as_role("worker"):
            publication.publish(account_id=account_id, now=timezone.now())
    with as_role("worker"):
        found = [(each.account_id, each.size) for each in Checkpoint.objects.after(0)]
    assert found[-3:] == [(HIVE, 1), (CHARLIES, 1), (HIVE, 2)]


def write() -> int:
    with as_role("worker"):
        return publication.write_file()


def test_each_published_checkpoint_is_appended_to_the_file_once(file: Path) -> None:
    for account_id in (HIVE, CHARLIES):
        record_many(1, account_id)
    seal()
    publish_all()
    assert (write(), write()) == (2, 0)
    record_many(1)
    seal()
    with as_role("worker"):
        publication.publish(account_id=HIVE, now=timezone.now())
    assert write() == 1
    lines = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    assert [line["size"] for line in lines] == [1, 1, 2]
    for line in lines:
        signed = checkpoints.verify(
            line["note"], origin=line["origin"], public_keys=log_keys.public_keys()
        )
        assert checkpoints.encoded(signed.root) == line["root_hash"]


def test_a_line_that_a_full_disk_cut_off_spoils_no_later_one(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b'{"object":"check')
    record_many(1)
    seal()
    publish_all()
    write()
    torn, whole = file.read_bytes().splitlines()
    assert torn == b'{"object":"check'
    assert orjson.loads(whole)["size"] == 1


def test_a_file_that_cannot_be_written_is_written_later(file: Path) -> None:
    record_many(1)
    seal()
    publish_all()
    file.mkdir(parents=True)
    with pytest.raises(OSError), as_role("worker"), transaction.atomic():
        publication.write_file()
    file.rmdir()
    assert write() == 1


def test_without_a_file_nothing_is_written(settings: LazySettings) -> None:
    record_many(1)
    seal()
    publish_all()
    settings.AUDIT_CHECKPOINTS_FILE = ""
    assert write() == 0
