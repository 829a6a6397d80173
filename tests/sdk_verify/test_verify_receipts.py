"""Receipts stand alone: no platform, no database, only the text and the public key (G11)."""

from base64 import b64decode, b64encode
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from queensmtp_verify.trust import Trust
from queensmtp_verify.verification import verify

from auditlog import publication
from tests.auditlog.conftest import AuditApi
from tests.factories.auditlog import leave_waiting, record_many, seal
from tests.roles import as_role
from tests.sdk_verify.conftest import Files, found

pytestmark = pytest.mark.django_db


def test_a_receipt_is_good(files: Files, trust: Trust) -> None:
    (entry_id,) = record_many(1, files.cast.hive.pk)
    report = verify(files.receipt(entry_id), trust)
    assert (report.kind, report.findings, report.entry_count) == ("receipt", [], 1)


def test_it_is_good_when_everything_else_is_gone(files: Files, trust: Trust) -> None:
    (entry_id,) = record_many(1, files.cast.hive.pk)
    path = files.receipt(entry_id)
    leave_waiting(700, files.cast.hive.pk)
    seal()
    with as_role("owner"), connection.cursor() as cursor:
        cursor.execute("TRUNCATE auditlog_entry, auditlog_leaf, auditlog_tile, auditlog_checkpoint")
    assert found(path, trust) == ""


def test_the_second_time_the_same_receipt_is_given(files: Files) -> None:
    (entry_id,) = record_many(1, files.cast.hive.pk)
    first = files.receipt(entry_id).read_bytes()
    leave_waiting(10, files.cast.hive.pk)
    seal()
    with as_role("worker"):
        publication.publish_due(now=timezone.now() + timedelta(hours=2))
    assert files.receipt(entry_id).read_bytes() == first


def test_any_change_to_a_receipt_is_found(files: Files, trust: Trust) -> None:
    (entry_id,) = record_many(1, files.cast.hive.pk)
    path = files.receipt(entry_id)
    text = path.read_text()
    for place in range(0, len(text), 5):
        other = "A" if text[place] != "A" else "B"
        path.write_text(text[:place] + other + text[place + 1 :])
        assert found(path, trust) != "", f"{text[place]!r} at {place}"


def test_an_entry_in_place_of_another_is_found_and_named(files: Files, trust: Trust) -> None:
    (entry_id,) = record_many(1, files.cast.hive.pk)
    path = files.receipt(entry_id)
    first, extra, *rest = path.read_text().split("\n")
    data = b64decode(extra.removeprefix("extra ")).replace(b'"label":"Alice"', b'"label":"Mallo"')
    path.write_text("\n".join([first, f"extra {b64encode(data).decode()}", *rest]))
    assert f"entry {entry_id}" in found(path, trust)
    assert "its personal fields are not those that were committed to" in found(path, trust)


def test_charlie_gets_404_for_the_receipt_of_hive(files: Files) -> None:
    (entry_id,) = record_many(1, files.cast.hive.pk)
    seal()
    assert AuditApi(files.cast.wasp).get(f"/{entry_id}/receipt").status_code == 404


def test_it_refuses_without_scope(files: Files) -> None:
    (entry_id,) = record_many(1, files.cast.hive.pk)
    answer = AuditApi(files.cast.hive, "keys:read").get(f"/{entry_id}/receipt")
    assert (answer.status_code, answer.json()["name"]) == (403, "insufficient_scope")


def test_an_unknown_query_is_refused(files: Files) -> None:
    (entry_id,) = record_many(1, files.cast.hive.pk)
    assert files.api.get(f"/{entry_id}/receipt", size="1").status_code == 422
