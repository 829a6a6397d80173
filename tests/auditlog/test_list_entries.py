"""GET /v1/audit-log"""

import pytest
from django.test import Client

from auditlog import actions
from queensmtp.actors import Target
from queensmtp.tenancy import tenant
from tests.auditlog.conftest import AuditApi
from tests.factories.auditlog import key_actor, record_many, seal
from tests.factories.cast import Cast

pytestmark = pytest.mark.django_db


def test_it_lists_the_newest_first_with_their_places(api: AuditApi, cast: Cast) -> None:
    ids = record_many(2, cast.hive.pk, event="domain.created")
    seal()
    ids += record_many(1, cast.hive.pk, event="domain.created")
    body = api.get(event="domain.created").json()
    assert (body["object"], body["has_more"]) == ("list", False)
    assert [entry["id"] for entry in body["data"]] == [str(each) for each in reversed(ids)]
    unsealed, newer, older = (entry["leaf_index"] for entry in body["data"])
    assert (unsealed, newer) == (None, older + 1)


def test_an_entry_has_the_documented_shape(api: AuditApi, cast: Cast) -> None:
    by = key_actor(cast.hive.pk)
    with tenant(cast.hive.pk):
        actions.record(
            by=by,
            event="domain.created",
            target=Target("domain", "0199", "hive.example"),
            outcome="failed",
            changes={"name": {"before": None, "after": "hive.example"}},
            count=3,
        )
    (entry,) = api.get(event="domain.created").json()["data"]
    assert entry.pop("id") and entry.pop("created_at").endswith("Z")
    assert entry == {
        "object": "audit_entry",
        "leaf_index": None,
        "event": "domain.created",
        "outcome": "failed",
        "actor": {"type": "key", "id": str(by.key_id), "label": "Newsletter"},
        "key_id": str(by.key_id),
        "ip": "203.0.113.7",
        "user_agent": "curl/8.5.0",
        "request_id": by.origin.request_id,
        "client_request_id": "theirs",
        "target": {"type": "domain", "id": "0199", "label": "hive.example"},
        "changes": {"name": {"before": None, "after": "hive.example"}},
        "labels": {"unit": "retail"},
        "count": 3,
    }


def test_pages_meet_without_a_gap_while_new_rows_arrive(api: AuditApi, cast: Cast) -> None:
    ids = [str(each) for each in record_many(5, cast.hive.pk, event="domain.created")]
    first = api.get(event="domain.created", limit="2").json()
    record_many(2, cast.hive.pk, event="domain.created")
    second = api.get(event="domain.created", limit="9", after=first["data"][-1]["id"]).json()
    assert first["has_more"] and not second["has_more"]
    assert [entry["id"] for entry in first["data"] + second["data"]] == ids[::-1]


def test_ordinary_reads_show_when_asked_for(api: AuditApi) -> None:
    api.get()
    assert "audit_log.read" not in {entry["event"] for entry in api.get().json()["data"]}
    assert "audit_log.read" in {entry["event"] for entry in api.get(reads="true").json()["data"]}


def test_it_is_filtered_by_key_and_address(api: AuditApi, cast: Cast) -> None:
    by = key_actor(cast.hive.pk, ip="198.51.100.9")
    with tenant(cast.hive.pk):
        entry_id = actions.record(by=by, event="message.accepted")
    for query in ({"key_id": str(by.key_id)}, {"ip": "198.51.100.0/24"}, {"actor": by.id}):
        assert [entry["id"] for entry in api.get(**query).json()["data"]] == [str(entry_id)]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"color": "red"}, "color"),
        ({"ip": "10.0.0.1/8"}, "ip"),
        ({"event": ["api_key.created", "nonsense"]}, "event"),
        ({"key_id": ["x", "y"]}, "key_id"),
        ({"limit": "0"}, "limit"),
        ({"after": "0199"}, "after"),
    ],
)
def test_a_typo_never_widens_a_query(api: AuditApi, query: dict[str, object], field: str) -> None:
    response = api.get(**query)
    assert response.status_code == 422
    body = response.json()
    assert body["name"] == "validation_error"
    assert [error["field"] for error in body["errors"]] == [field]


def test_it_refuses_without_scope(cast: Cast) -> None:
    response = AuditApi(cast.hive, "keys:read").get()
    assert (response.status_code, response.json()["name"]) == (403, "insufficient_scope")


def test_it_refuses_without_a_key(db: None) -> None:
    response = Client().get("/v1/audit-log", secure=True)
    assert (response.status_code, response.json()["name"]) == (401, "missing_api_key")


def test_charlie_sees_only_his_own(charlies: AuditApi, cast: Cast) -> None:
    ids = {str(each) for each in record_many(3, cast.hive.pk)}
    shown = {entry["id"] for entry in charlies.get(reads="true").json()["data"]}
    assert shown and not shown & ids
    cursor = charlies.get(after=ids.pop())
    assert cursor.status_code == 422
