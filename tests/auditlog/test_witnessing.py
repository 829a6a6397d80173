"""The log and a real witness of its own process's making, over HTTP: F35, G2, G3."""

import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, transaction
from django.utils import timezone
from queensmtp_verify.trust import Trust, read_keys, read_witness
from queensmtp_verify.verification import verify
from queensmtp_verify.witness_command import main, make_server

from auditlog import log_keys, publication, verification, witnessing
from auditlog.merkle import Frontier
from auditlog.models import Checkpoint, Cosignature, Dispute, Entry, Head
from queensmtp import outbound
from queensmtp.tenancy import tenant
from tests.auditlog.conftest import AuditApi
from tests.factories.auditlog import CHARLIES, HIVE, leave_waiting, record_many, seal
from tests.factories.cast import Cast
from tests.http_receiver import HttpReceiver, answer
from tests.roles import as_role

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def witness(
    settings: LazySettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[ThreadingHTTPServer]:
    assert main(["make-key", str(tmp_path / "key"), "--name", "witness.example/w1"]) == 0
    keys = [b64encode(key).decode() for key in log_keys.public_keys()]
    server = make_server(
        {
            "name": "witness.example/w1",
            "signing_key_file": "key",
            "store": "witness.sqlite3",
            "listen": "127.0.0.1:0",
            "logs": {"localhost/": keys},
        },
        tmp_path,
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    settings.OUTBOUND_ALLOW_LOOPBACK = True
    settings.AUDIT_WITNESS_KEY = capsys.readouterr().out.strip()
    settings.AUDIT_WITNESS_URL = f"http://127.0.0.1:{server.server_address[1]}/"
    outbound.close()
    yield server
    outbound.close()
    server.shutdown()
    thread.join()
    server.server_close()


def publish() -> None:
    seal()
    with as_role("worker"):
        for account_id in Head.objects.values_list("account_id", flat=True):
            publication.publish(account_id=account_id, now=timezone.now())


def cosign() -> int:
    with as_role("worker"):
        return witnessing.cosign_due(now=timezone.now())


def disputes() -> list[str]:
    with as_role("worker"):
        return list(Dispute.objects.values_list("reason", flat=True))


def put_back() -> None:
    """Put the log back to an older head, as a restored backup does: all is honestly signed."""
    with as_role("owner"), connection.cursor() as cursor:
        for table in ("head", "leaf", "checkpoint", "cosignature", "tile"):
            cursor.execute(f"ALTER TABLE auditlog_{table} DISABLE TRIGGER USER")
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE")
        cursor.execute("DELETE FROM auditlog_checkpoint WHERE account_id = %s AND size > 5", [HIVE])
        cursor.execute(
            "DELETE FROM auditlog_cosignature WHERE account_id = %s AND size > 5", [HIVE]
        )
        cursor.execute(
            "DELETE FROM auditlog_leaf WHERE account_id = %s AND leaf_index >= 5", [HIVE]
        )
        cursor.execute(
            "UPDATE auditlog_head h SET size = c.size, root = c.root, note = c.note,"
            " published_size = c.size, frontier = %s FROM auditlog_checkpoint c"
            " WHERE h.account_id = c.account_id AND c.account_id = %s AND c.size = 5",
            [frontier_of_five(cursor), HIVE],
        )
        cursor.execute("SET ROLE app")


def frontier_of_five(cursor: Any) -> bytes:
    cursor.execute(
        "SELECT hash FROM auditlog_leaf WHERE account_id = %s AND leaf_index < 5"
        " ORDER BY leaf_index",
        [HIVE],
    )
    return Frontier().extended(bytes(row[0]) for row in cursor.fetchall()).packed()


def test_what_is_published_is_cosigned_once() -> None:
    for account_id in (HIVE, CHARLIES):
        record_many(3, account_id)
    publish()
    assert (cosign(), cosign()) == (2, 0)
    with tenant(HIVE):
        checkpoint, cosignature = Checkpoint.objects.get(), Cosignature.objects.get()
    assert (cosignature.size, cosignature.witness) == (checkpoint.size, "witness.example/w1")


def test_a_log_that_grows_is_cosigned_from_where_the_witness_stands() -> None:
    for count in (3, 300, 1, 260):
        leave_waiting(count)
        publish()
        assert cosign() == 1
    assert disputes() == []


def test_a_witness_that_saw_more_than_we_know_of_is_believed_about_the_size() -> None:
    leave_waiting(3)
    publish()
    cosign()
    with as_role("owner"), connection.cursor() as cursor:
        cursor.execute("TRUNCATE auditlog_cosignature")
    leave_waiting(300)
    publish()
    assert (cosign(), disputes()) == (1, [])


def test_one_log_that_must_wait_holds_no_other_back() -> None:
    """The witness has seen more of Hive's log than was published, and its answer was lost."""
    record_many(3)
    publish()
    record_many(1, CHARLIES)
    publish()
    record_many(2)
    seal()
    with as_role("worker"):
        witnessing.confirm_heads(now=timezone.now())
    with as_role("owner"), connection.cursor() as cursor:
        cursor.execute("TRUNCATE auditlog_cosignature")
    assert (cosign(), disputes()) == (1, [])
    publish()
    assert (cosign(), disputes()) == (1, [])


def test_one_log_that_is_broken_holds_no_other_back() -> None:
    record_many(2)
    publish()
    cosign()
    record_many(3)
    record_many(1, CHARLIES)
    publish()
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE")
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM auditlog_leaf WHERE account_id = %s", [HIVE])
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("SET ROLE app")
    with as_role("worker"):
        witnessing.confirm_heads(now=timezone.now())
    with tenant(CHARLIES):
        assert Cosignature.objects.count() == 1


def test_a_witness_that_is_down_is_asked_again(
    settings: LazySettings, witness: ThreadingHTTPServer
) -> None:
    url = settings.AUDIT_WITNESS_URL
    record_many(1)
    publish()
    settings.AUDIT_WITNESS_URL = "http://127.0.0.1:1/"
    assert cosign() == 0
    settings.AUDIT_WITNESS_URL = url
    assert cosign() == 1


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_a_refusal_that_says_nothing_of_the_log_stops_no_sealing(
    settings: LazySettings, status: int
) -> None:
    record_many(1)
    publish()
    with HttpReceiver(answer(status)) as receiver:
        settings.AUDIT_WITNESS_URL = receiver.url
        assert (cosign(), disputes()) == (0, [])
    record_many(1)
    assert seal().entry_count == 1


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"\xe2\x80\x94 x AAAAAAAA\n", b"\xe2\x80\x94 witness.example/w1 AAAAAAAA\n"],
)
def test_an_answer_that_another_signed_is_not_kept(settings: LazySettings, body: bytes) -> None:
    record_many(1)
    publish()
    with HttpReceiver(answer(200, body)) as receiver:
        settings.AUDIT_WITNESS_URL = receiver.url
        assert cosign() == 0
    with tenant(HIVE):
        assert not Cosignature.objects.exists()


def test_after_an_old_backup_was_restored_the_sealer_finds_it_at_its_start() -> None:
    record_many(5)
    record_many(1, CHARLIES)
    publish()
    record_many(3)
    publish()
    cosign()
    put_back()
    with as_role("worker"):
        witnessing.confirm_heads(now=timezone.now())
    assert disputes() == ["the witness saw 8 leaves, and 5 are left"]
    for account_id in (HIVE, CHARLIES):
        record_many(1, account_id)
    report = seal()
    assert (report.set_aside, report.entry_count) == (frozenset({HIVE}), 1)
    with tenant(HIVE):
        assert Head.objects.get().size == 5
        entry = Entry.objects.get(event="audit_checkpoint.disputed")
    assert (entry.actor_id, entry.changes) == ("witness", {"reason": disputes()[0]})


def test_a_second_history_gets_no_cosignature_and_no_further_signature_of_ours() -> None:
    record_many(5)
    publish()
    record_many(3)
    publish()
    cosign()
    put_back()
    record_many(9)
    publish()
    assert cosign() == 0
    assert disputes() == ["the witness holds another history of this log"]
    record_many(1)
    assert seal().set_aside == frozenset({HIVE})


def test_a_dispute_is_found_once_and_only_the_owner_lifts_it() -> None:
    record_many(5)
    publish()
    record_many(3)
    publish()
    cosign()
    put_back()
    for _ in range(2):
        with as_role("worker"):
            witnessing.confirm_heads(now=timezone.now())
    assert len(disputes()) == 1
    with tenant(HIVE):
        assert Entry.objects.filter(event="audit_checkpoint.disputed").count() == 1
    for role in ("app", "worker"):
        with (
            as_role(role),
            tenant(HIVE),
            pytest.raises(Exception, match="permission denied"),
            transaction.atomic(),
        ):
            Dispute.objects.all().delete()


def test_a_receipt_waits_for_the_witness_and_carries_its_signature(
    cast: Cast, settings: LazySettings, tmp_path: Path
) -> None:
    api = AuditApi(cast.hive)
    (entry_id,) = record_many(1, cast.hive.pk)
    publish()
    assert api.get(f"/{entry_id}/receipt").status_code == 202
    cosign()
    receipt = api.get(f"/{entry_id}/receipt")
    path = tmp_path / "receipt"
    path.write_bytes(receipt.content)
    trust = Trust(
        keys=tuple(read_keys(b64encode(log_keys.public_keys()[0]).decode())),
        witnesses=(read_witness(settings.AUDIT_WITNESS_KEY),),
    )
    assert verify(path, trust).findings == []
    path.write_bytes(receipt.content.rpartition("\u2014".encode())[0])
    assert "has not cosigned" in str(verify(path, trust).findings)


def test_the_checkpoint_of_the_api_carries_the_cosignature(cast: Cast) -> None:
    record_many(1, cast.hive.pk)
    publish()
    cosign()
    with tenant(cast.hive.pk):
        size = Checkpoint.objects.get().size
    body = AuditApi(cast.hive).get("/checkpoint", size=size).json()
    assert "witness.example/w1" in body["note"]


def test_a_changed_cosignature_is_found() -> None:
    record_many(3)
    publish()
    cosign()
    with tenant(HIVE):
        assert verification.verify(HIVE) == []
        size = Checkpoint.objects.get().size
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE")
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("UPDATE auditlog_cosignature SET line = replace(line, 'A', 'B')")
        cursor.execute("SET session_replication_role = DEFAULT")
        cursor.execute("SET ROLE app")
    with tenant(HIVE):
        (finding,) = verification.verify(HIVE)
    assert finding.place == f"cosignature {size}"


def test_half_a_setting_is_told(settings: LazySettings) -> None:
    settings.AUDIT_WITNESS_KEY = ""
    with pytest.raises(ImproperlyConfigured, match="set both, or neither"):
        log_keys.find_witness()


def test_a_log_s_key_is_no_witness(settings: LazySettings) -> None:
    settings.AUDIT_WITNESS_KEY = "w+00000000+AAAA"
    with pytest.raises(ImproperlyConfigured, match="no witness's key"):
        log_keys.find_witness()


def test_without_a_witness_nothing_is_asked(settings: LazySettings) -> None:
    record_many(1)
    publish()
    settings.AUDIT_WITNESS_KEY = settings.AUDIT_WITNESS_URL = ""
    assert cosign() == 0
