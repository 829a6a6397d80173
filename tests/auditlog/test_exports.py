"""Exports: asked for over the API, written by the worker, handed out whole."""

import asyncio
import base64
import csv
import hashlib
import io
import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from auditlog import actions, canonical, checkpoints, export_lines, exporting, log_keys, merkle
from auditlog.exported import Export
from auditlog.models import Checkpoint, Entry
from queensmtp import asgi
from queensmtp.actors import Target
from queensmtp.tenancy import tenant
from tests.auditlog.conftest import AuditApi
from tests.factories.auditlog import alice, leave_waiting, record_many, seal
from tests.factories.cast import Cast
from tests.roles import as_role

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.AUDIT_EXPORT_DIR = tmp_path / "exports"
    return tmp_path / "exports"


def ask(api: AuditApi, **body: Any) -> Any:
    return api.client.post(
        "/v1/audit-log/exports", body, content_type="application/json", secure=True
    )


def cancel(api: AuditApi, export_id: str) -> Any:
    path = f"/v1/audit-log/exports/{export_id}/cancel"
    return api.client.post(path, {}, content_type="application/json", secure=True)


def work() -> int:
    """Seal, then export, as the two workers do."""
    with as_role("worker"):
        actions.seal_all(now=timezone.now())
    with as_role("worker"):
        return exporting.export_due()


def file_of(api: AuditApi, export_id: str) -> bytes:
    answer = api.get(f"/exports/{export_id}/file")
    assert answer.status_code == 200, answer.content
    return b"".join(answer.streaming_content)


def exported(api: AuditApi, **body: Any) -> tuple[dict[str, Any], bytes]:
    export_id = ask(api, **body).json()["id"]
    assert work() == 1
    return api.get(f"/exports/{export_id}").json(), file_of(api, export_id)


def lines_of(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def test_an_export_is_queued_then_ready_with_its_counts_and_its_hash(
    api: AuditApi, cast: Cast
) -> None:
    record_many(3, cast.hive.pk, event="domain.created")
    asked = ask(api, format="jsonl", event=["domain.created"])
    assert asked.status_code == 201
    body = asked.json()
    assert (body["object"], body["status"]) == ("audit_export", "queued")
    assert (body["rows_done"], body["rows_total"], body["sha256"]) == (0, None, None)
    assert work() == 1
    body = api.get(f"/exports/{body['id']}").json()
    assert (body["status"], body["rows_done"], body["rows_total"], body["percent"]) == (
        "ready",
        3,
        3,
        100,
    )
    data = file_of(api, body["id"])
    assert body["sha256"] == hashlib.sha256(data).hexdigest()
    assert body["bytes"] == len(data)
    assert body["expires_at"] > body["finished_at"]


def test_json_lines_hold_a_header_the_entries_in_leaf_order_and_an_end(
    api: AuditApi, cast: Cast
) -> None:
    ids = record_many(5, cast.hive.pk, event="domain.created")
    body, data = exported(api, event="domain.created")
    header, *rows, end = lines_of(data)
    assert (header["object"], header["version"]) == ("audit_export", 1)
    assert header["export_id"] == body["id"]
    assert header["filters"] == {"event": ["domain.created"]}
    assert header["checkpoint"]["note"] == body["checkpoint"]["note"]
    assert end == {"object": "audit_export_end", "rows": 5}
    assert [row["id"] for row in rows] == [str(one) for one in ids]
    assert [row["leaf_index"] for row in rows] == sorted(row["leaf_index"] for row in rows)
    assert all(row["salt"] for row in rows)
    assert "leaf_data" not in rows[0]


def test_every_line_with_proof_verifies_from_the_file_and_a_key_alone(
    api: AuditApi, cast: Cast
) -> None:
    """Over three tiles: two full ones, entries in both and on the tree's right edge."""
    record_many(2, cast.hive.pk)
    seal()
    leave_waiting(300, cast.hive.pk)
    seal()
    record_many(300, cast.hive.pk)
    _, data = exported(api, proofs=True, reads=True)
    header, *rows, _ = lines_of(data)
    stated = header["checkpoint"]
    signed = checkpoints.verify(
        stated["note"], origin=stated["origin"], public_keys=log_keys.public_keys()
    )
    assert base64.b64encode(signed.root).decode() == stated["root_hash"]
    places = {row["leaf_index"] // 256 for row in rows}
    assert places >= {0, 1, 2} and signed.size > 512
    for row in rows:
        assert merkle.verify_inclusion(
            leaf=hashlib.sha256(b"\x00" + row["leaf_data"].encode()).digest(),
            index=row["leaf_index"],
            size=signed.size,
            proof=[base64.b64decode(one) for one in row["hashes"]],
            root=signed.root,
        ), row
        plain = json.loads(row["leaf_data"])
        assert (plain["id"], plain["event"]) == (row["id"], row["event"])
        assert plain["private_hash"] == private_hash_of(row)


def private_hash_of(row: dict[str, Any]) -> str:
    fields = {
        "actor_label": row["actor"]["label"],
        "target_label": row["target"]["label"] if row["target"] else "",
        **{name: row[name] for name in ("ip", "user_agent", "client_request_id", "changes")},
    }
    data = base64.b64decode(row["salt"]) + canonical.encode(fields)
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def test_the_export_is_itself_in_the_log_and_in_the_file(api: AuditApi) -> None:
    body, data = exported(api, event="audit_export.*")
    (asked,) = lines_of(data)[1:-1]
    assert (asked["event"], asked["target"]["id"]) == ("audit_export.requested", body["id"])
    shown = {entry["event"] for entry in api.get(event="audit_export.*").json()["data"]}
    assert shown == {
        "audit_export.requested",
        "audit_export.finished",
        "audit_export.read",
        "audit_export.downloaded",
    }


def test_it_stands_on_a_published_checkpoint(api: AuditApi, cast: Cast) -> None:
    body, _ = exported(api)
    with tenant(cast.hive.pk):
        assert Checkpoint.objects.filter(size=body["checkpoint"]["size"]).count() == 1
    answer = api.get("/checkpoint", size=str(body["checkpoint"]["size"])).json()
    assert answer["note"] == body["checkpoint"]["note"]


def test_csv_is_rfc_4180_and_no_cell_of_it_calculates(api: AuditApi, cast: Cast) -> None:
    label = "=cmd|'/c calc'!A1\", \"x\r\n+1"
    with tenant(cast.hive.pk):
        actions.record(
            by=alice(cast.hive.pk),
            event="domain.created",
            target=Target("domain", "-1", label),
            changes={"name": "@SUM(A1)"},
        )
    _, data = exported(api, format="csv", event="domain.created")
    head, row = list(csv.reader(io.StringIO(data.decode(), newline="")))
    assert tuple(head) == export_lines.CSV_COLUMNS
    cells = dict(zip(head, row, strict=True))
    assert cells["target_label"] == "'" + label
    assert cells["target_id"] == "'-1"
    assert json.loads(cells["changes"]) == {"name": "@SUM(A1)"}
    assert data.endswith(b"\r\n") and b'""' in data


@pytest.mark.parametrize(
    "cell", ["=1", "+1", "-1", "@A1", "\t=1", "\r1", "\n1", " =1", "\uff1d1", "|cmd", "%1"]
)
def test_a_cell_that_a_spreadsheet_would_calculate_is_made_text(cell: str) -> None:
    assert export_lines.neutral(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "a=1", "203.0.113.7", "'=1", "Alice -1"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    assert export_lines.neutral(cell) == cell


def test_csv_with_proofs_has_three_columns_more(api: AuditApi, cast: Cast) -> None:
    record_many(1, cast.hive.pk, event="domain.created")
    _, data = exported(api, format="csv", proofs=True, event="domain.created")
    (row,) = csv.DictReader(io.StringIO(data.decode(), newline=""))
    assert bytes.fromhex(row["salt"]) and json.loads(row["leaf_data"])["id"] == row["id"]
    assert all(len(one) == 64 for one in row["hashes"].split())


def test_a_canceled_export_is_not_written(api: AuditApi, folder: Path) -> None:
    export_id = ask(api).json()["id"]
    answer = cancel(api, export_id)
    assert (answer.status_code, answer.json()["status"]) == (200, "canceled")
    assert work() == 0
    assert api.get(f"/exports/{export_id}/file").status_code == 404
    assert cancel(api, export_id).status_code == 409


def test_a_running_export_stops_when_it_is_canceled(
    api: AuditApi, cast: Cast, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_id = ask(api).json()["id"]
    report = exporting._report

    def cancel_first(export: Export, **values: object) -> None:
        if "rows_done" in values:
            Export.objects.filter(pk=export.pk).update(
                status="canceled", finished_at=timezone.now()
            )
        report(export, **values)

    monkeypatch.setattr(exporting, "_report", cancel_first)
    assert work() == 1
    assert api.get(f"/exports/{export_id}").json()["status"] == "canceled"
    assert list(folder.rglob("*.part")) == []


def test_running_twice_writes_one_file(api: AuditApi) -> None:
    ask(api)
    assert work() == 1
    assert work() == 0


def test_an_export_whose_worker_died_is_done_by_the_next(api: AuditApi, folder: Path) -> None:
    export_id = ask(api).json()["id"]
    seal()
    with as_role("worker"):
        lost = exporting._claim(now=timezone.now())
        assert lost is not None and exporting.export_due() == 0
        Export.objects.filter(pk=export_id).update(due_at=timezone.now() - timedelta(seconds=1))
        assert exporting.export_due() == 1
        with pytest.raises(exporting._Stopped):
            exporting._report(lost, rows_done=9)
    assert api.get(f"/exports/{export_id}").json()["status"] == "ready"


def test_an_export_that_kills_its_workers_is_given_up(api: AuditApi) -> None:
    export_id = ask(api).json()["id"]
    seal()
    with as_role("worker"):
        Export.objects.filter(pk=export_id).update(fence=exporting.TRIES_MAX)
        exporting.export_due()
    body = api.get(f"/exports/{export_id}").json()
    assert (body["status"], "3 workers" in body["problem"]) == ("failed", True)


def test_a_full_disk_is_told(api: AuditApi, settings: Any, tmp_path: Path) -> None:
    export_id = ask(api).json()["id"]
    (tmp_path / "a_file").write_text("")
    settings.AUDIT_EXPORT_DIR = tmp_path / "a_file"
    work()
    body = api.get(f"/exports/{export_id}").json()
    assert body["status"] == "failed"
    assert "could not be written" in body["problem"]


def test_the_file_is_for_our_eyes_only_and_goes_when_it_expires(
    api: AuditApi, folder: Path
) -> None:
    body, _ = exported(api)
    (path,) = [one for one in folder.rglob("*") if one.is_file()]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    with as_role("worker"):
        later = timezone.now() + timedelta(days=8)
        assert exporting.expire(now=later) == 1
        assert exporting.expire(now=later) == 0
    assert not path.exists()
    answer = api.get(f"/exports/{body['id']}/file")
    assert (answer.status_code, "expired" in answer.json()["message"]) == (404, True)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"format": "xlsx"}, "format"),
        ({"proofs": "yes"}, "proofs"),
        ({"color": "red"}, "color"),
        ({"limit": "5"}, "limit"),
        ({"ip": "10.0.0.1/8"}, "ip"),
        ({"ip": ["10.0.0.1"]}, "ip"),
        ({"key_id": 5}, "key_id"),
        ({"event": [1]}, "event"),
    ],
)
def test_a_typo_never_widens_an_export(api: AuditApi, body: dict[str, Any], field: str) -> None:
    answer = ask(api, **body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_only_five_may_be_unfinished(api: AuditApi) -> None:
    assert [ask(api).status_code for _ in range(6)] == [201] * 5 + [409]


def test_it_refuses_without_scope(cast: Cast) -> None:
    assert ask(AuditApi(cast.hive, "keys:read")).status_code == 403


def test_charlie_gets_404_and_none_of_it(api: AuditApi, charlies: AuditApi, cast: Cast) -> None:
    body, _ = exported(api)
    for path in ("", "/file"):
        assert charlies.get(f"/exports/{body['id']}{path}").status_code == 404
    assert cancel(charlies, body["id"]).status_code == 404
    assert charlies.get("/exports").json()["data"] == []
    _, data = exported(charlies, reads=True)
    with tenant(cast.hive.pk):
        ours = {str(one) for one in Entry.objects.values_list("id", flat=True)}
    assert ours and not ours & {row.get("id") for row in lines_of(data)}


def test_nobody_without_a_key_gets_a_file(api: AuditApi) -> None:
    body, _ = exported(api)
    assert Client().get(f"/v1/audit-log/exports/{body['id']}/file", secure=True).status_code == 401


def test_a_file_leaves_piece_by_piece_and_off_djangos_threads(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 1000)
    file = asgi._File(path.open("rb"), 300)
    seen: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        seen.append({**message, "thread": threading.current_thread().name})

    run(asgi._send_file(send, 200, [], file, is_head=False))
    sizes = [len(one.get("body", b"")) for one in seen[1:]]
    assert sizes == [300, 300, 300, 100, 0]
    assert [one.get("more_body", False) for one in seen[1:]] == [True] * 4 + [False]
    assert file._file.closed


def run(coroutine: Any) -> None:
    """A loop of its own, whatever runs in this thread."""

    thread = threading.Thread(target=lambda: asyncio.run(coroutine))
    thread.start()
    thread.join()
