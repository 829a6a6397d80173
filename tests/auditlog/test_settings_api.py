"""Retention, erasures, streams and saved views over the API."""

from typing import Any

import pytest

from auditlog import erasing, retention
from auditlog.models import Entry, Erasure, SavedView, Stream
from queensmtp.ids import new_id
from queensmtp.scopes import Scope
from queensmtp.tenancy import tenant
from tests.auditlog.conftest import AuditApi
from tests.factories.auditlog import seal
from tests.factories.cast import Cast
from tests.roles import as_role

pytestmark = pytest.mark.django_db

STREAM = {"address": "https://siem.example/in"}
PERSON = {"q": "dana@customer.example"}


@pytest.fixture
def admin(cast: Cast) -> AuditApi:
    return AuditApi(cast.hive, Scope.AUDIT_READ, Scope.KEYS_WRITE)


@pytest.fixture
def charlies_admin(cast: Cast) -> AuditApi:
    return AuditApi(cast.wasp, Scope.AUDIT_READ, Scope.KEYS_WRITE)


def send(api: AuditApi, method: str, path: str, body: Any = None) -> Any:
    call = getattr(api.client, method)
    address = f"/v1/audit-log{path}"
    return call(address, body or {}, content_type="application/json", secure=True)


def refused_fields(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.content
    return [(one["field"], one["code"]) for one in answer.json()["errors"]]


def newest_entry(cast: Cast, event: str) -> Entry:
    with tenant(cast.hive.pk):
        return Entry.objects.filter(event=event).order_by("-id")[0]


# --- Who may -----------------------------------------------------------------------------------

CHANGES = [
    ("patch", "/retention", {"days": 400}),
    ("post", "/erasures", PERSON),
    ("post", "/streams", STREAM),
    ("patch", f"/streams/{new_id()}", {"enabled": False}),
    ("delete", f"/streams/{new_id()}", {}),
]
READS = ["/retention", "/erasures", "/streams", "/views"]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_who_may_only_read_the_log_changes_nothing_of_it(
    api: AuditApi, cast: Cast, method: str, path: str, body: Any
) -> None:
    answer = send(api, method, path, body)
    assert (answer.status_code, answer.json()["name"]) == (403, "insufficient_scope")
    assert "keys:write" in answer.json()["message"]
    with tenant(cast.hive.pk):
        assert retention.days_of(cast.hive.pk) == 90
        assert not Erasure.objects.exists() and not Stream.objects.exists()
        entry = Entry.objects.order_by("-id")[0]
    assert (entry.outcome, entry.changes["reason"]) == ("refused", "insufficient_scope")


@pytest.mark.parametrize(("method", "path", "body"), [*CHANGES, ("post", "/views", {"name": "x"})])
def test_a_key_that_may_not_read_the_log_changes_nothing_either(
    cast: Cast, method: str, path: str, body: Any
) -> None:
    answer = send(AuditApi(cast.hive, Scope.KEYS_WRITE), method, path, body)
    assert (answer.status_code, answer.json()["name"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("path", [*READS, f"/streams/{new_id()}", f"/views/{new_id()}"])
def test_reading_needs_the_scope(cast: Cast, path: str) -> None:
    answer = AuditApi(cast.hive, Scope.KEYS_WRITE).get(path)
    assert (answer.status_code, answer.json()["name"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("path", READS)
def test_an_unknown_query_name_is_refused(api: AuditApi, path: str) -> None:
    assert refused_fields(api.get(path, lmit="3")) == [("lmit", "unknown_field")]


@pytest.mark.parametrize("path", ["/retention", "/erasures", "/streams", "/views"])
def test_a_body_that_is_no_object_is_refused(admin: AuditApi, path: str) -> None:
    method = "patch" if path == "/retention" else "post"
    answer = getattr(admin.client, method)(
        f"/v1/audit-log{path}", [1], content_type="application/json", secure=True
    )
    assert answer.status_code == 400


# --- Retention ---------------------------------------------------------------------------------


def test_days_are_read_and_raised(admin: AuditApi, cast: Cast) -> None:
    before = admin.get("/retention").json()
    assert before == {
        "object": "audit_retention",
        "days": 90,
        "plan_days": 90,
        "chosen_days": None,
        "falls_to": None,
        "falls_at": None,
        "pruned_before": None,
    }
    answer = send(admin, "patch", "/retention", {"days": 400})
    assert answer.status_code == 200
    assert answer.json() == {**before, "days": 400, "chosen_days": 400}
    entry = newest_entry(cast, "audit_retention.raised")
    assert (entry.key_id, entry.changes["days"]) == (
        admin.key.pk,
        {"before": 90, "after": 400},
    )
    assert newest_entry(cast, "audit_retention.read").ordinary_read


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, ("days", "missing")),
        ({"days": None}, ("days", "missing")),
        ({"days": 90}, ("days", "out_of_range")),
        ({"days": 30}, ("days", "out_of_range")),
        ({"days": 4000}, ("days", "out_of_range")),
        ({"days": 10**30}, ("days", "out_of_range")),
        ({"days": "400"}, ("days", "invalid")),
        ({"days": True}, ("days", "invalid")),
        ({"days": 400.5}, ("days", "invalid")),
        ({"day": 400}, ("day", "unknown_field")),
    ],
)
def test_days_that_cannot_be_are_refused(
    admin: AuditApi, body: dict[str, Any], refusal: tuple[str, str]
) -> None:
    assert refused_fields(send(admin, "patch", "/retention", body)) == [refusal]


def test_what_a_lower_plan_will_take_is_told(admin: AuditApi, cast: Cast) -> None:
    with as_role("worker"), tenant(cast.hive.pk):
        retention.follow_plan(account_id=cast.hive.pk, days=365)
        retention.follow_plan(account_id=cast.hive.pk, days=90)
    told = admin.get("/retention").json()
    assert (told["days"], told["falls_to"]) == (365, 90)
    assert told["falls_at"] > "2026"


def test_days_of_one_account_are_not_those_of_another(
    admin: AuditApi, charlies_admin: AuditApi
) -> None:
    send(admin, "patch", "/retention", {"days": 400})
    assert charlies_admin.get("/retention").json()["days"] == 90


# --- Erasures ----------------------------------------------------------------------------------


def test_a_persons_data_is_erased(admin: AuditApi, api: AuditApi, cast: Cast) -> None:
    saved = send(api, "post", "/views", {"name": "dana@customer.example"})
    assert saved.status_code == 201
    seal()
    answer = send(admin, "post", "/erasures", PERSON)
    assert answer.status_code == 201
    asked = answer.json()
    assert (asked["status"], asked["entry_count"]) == ("queued", None)
    assert asked["created_by"]["id"] == str(admin.key.pk)
    assert "dana" not in answer.content.decode()
    with as_role("worker"):
        assert erasing.erase_due() == 1
    done = api.get(f"/erasures/{asked['id']}").json()
    assert (done["status"], done["entry_count"]) == ("finished", 1)
    assert api.get("/erasures").json()["data"] == [done]
    assert newest_entry(cast, "audit_view.saved").is_erased
    entry = newest_entry(cast, "audit_erasure.requested")
    assert (entry.key_id, entry.changes) == (admin.key.pk, {"filters": ["q"]})


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, ("q", "missing")),
        ({"outcome": "allowed"}, ("q", "missing")),
        ({"actor": "user"}, ("q", "missing")),
        ({"actor": "key:"}, ("q", "missing")),
        ({"target": "email:"}, ("q", "missing")),
        ({"ip": "0.0.0.0/0"}, ("q", "missing")),
        ({"ip": "192.0.2.0/31"}, ("q", "missing")),
        ({"ip": "2001:db8::/63"}, ("q", "missing")),
        ({"person": "dana"}, ("person", "unknown_field")),
        ({**PERSON, "limit": "3"}, ("limit", "unknown_field")),
        ({"q": ["dana", "erin"]}, ("q", "invalid")),
        ({"q": 7}, ("q", "invalid")),
        ({"ip": "everywhere"}, ("ip", "invalid")),
        ({"actor": ""}, ("actor", "invalid")),
        ({"event": [7], **PERSON}, ("event", "invalid")),
    ],
)
def test_an_erasure_that_names_nobody_is_refused(
    admin: AuditApi, cast: Cast, body: dict[str, Any], refusal: tuple[str, str]
) -> None:
    assert refused_fields(send(admin, "post", "/erasures", body)) == [refusal]
    with tenant(cast.hive.pk):
        assert not Erasure.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        {"actor": "user", "ip": "192.0.2.7"},
        {"actor": "user:dana"},
        {"target": "dana"},
        {"ip": "2001:db8::/64"},
    ],
)
def test_who_is_named_may_be_erased(admin: AuditApi, body: dict[str, str]) -> None:
    assert send(admin, "post", "/erasures", body).status_code == 201


def test_an_erasure_of_another_account_is_not_found(
    admin: AuditApi, charlies_admin: AuditApi
) -> None:
    theirs = send(admin, "post", "/erasures", PERSON).json()["id"]
    assert charlies_admin.get(f"/erasures/{theirs}").status_code == 404
    assert charlies_admin.get("/erasures").json()["data"] == []
    assert admin.get(f"/erasures/{new_id()}").status_code == 404
    assert admin.get("/erasures/x").status_code == 404


# --- Streams -----------------------------------------------------------------------------------


def test_a_stream_is_set_up_stopped_and_removed(admin: AuditApi, cast: Cast) -> None:
    answer = send(admin, "post", "/streams", {**STREAM, "authorization": "Bearer very-secret"})
    assert answer.status_code == 201, answer.content
    stream = answer.json()
    assert (stream["kind"], stream["fields"], stream["enabled"]) == ("https", "ecs", True)
    assert stream["has_authorization"] and "very-secret" not in answer.content.decode()
    assert admin.get("/streams").json()["data"] == [stream]
    assert newest_entry(cast, "audit_stream.created").key_id == admin.key.pk
    path = f"/streams/{stream['id']}"
    assert admin.get(path).json() == stream
    stopped = send(admin, "patch", path, {"enabled": False})
    assert (stopped.status_code, stopped.json()["enabled"]) == (200, False)
    assert newest_entry(cast, "audit_stream.switched").changes == {
        "enabled": {"before": True, "after": False}
    }
    assert send(admin, "patch", path, {"enabled": True}).json()["enabled"]
    removed = send(admin, "delete", path)
    assert removed.json() == {"object": "audit_stream", "id": stream["id"], "deleted": True}
    assert admin.get(path).status_code == 404
    assert newest_entry(cast, "audit_stream.removed").target_id == stream["id"]


def test_a_token_in_the_address_is_not_told(admin: AuditApi, cast: Cast) -> None:
    answer = send(admin, "post", "/streams", {"address": "https://siem.example/in?token=s3cret"})
    assert answer.json()["address"] == "https://siem.example/in?…"
    assert "s3cret" not in newest_entry(cast, "audit_stream.created").target_label
    with tenant(cast.hive.pk):
        assert Stream.objects.get().address.endswith("?token=s3cret")


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, ("address", "missing")),
        ({"address": 7}, ("address", "invalid")),
        ({"address": "http://10.0.0.1/"}, ("address", "invalid")),
        ({"address": "https://user:word@siem.example/"}, ("address", "invalid")),
        ({"kind": "syslog", "address": "siem.example"}, ("address", "invalid")),
        ({**STREAM, "kind": "carrier-pigeon"}, ("kind", "invalid")),
        ({**STREAM, "kind": ["https"]}, ("kind", "invalid")),
        ({**STREAM, "fields": "cef"}, ("fields", "invalid")),
        ({**STREAM, "from_now_on": "yes"}, ("from_now_on", "invalid")),
        ({**STREAM, "authorization": "two\nlines"}, ("authorization", "invalid")),
        (
            {"kind": "syslog", "address": "siem.example:6514", "authorization": "x"},
            ("authorization", "not_allowed"),
        ),
        ({**STREAM, "next_leaf": 0}, ("next_leaf", "unknown_field")),
    ],
)
def test_a_stream_that_cannot_be_is_refused(
    admin: AuditApi, cast: Cast, body: dict[str, Any], refusal: tuple[str, str]
) -> None:
    assert refused_fields(send(admin, "post", "/streams", body)) == [refusal]
    with tenant(cast.hive.pk):
        assert not Stream.objects.exists()


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, ("enabled", "missing")),
        ({"enabled": "no"}, ("enabled", "invalid")),
        ({"address": "https://other.example/"}, ("address", "unknown_field")),
    ],
)
def test_only_the_switch_of_a_stream_changes(
    admin: AuditApi, body: dict[str, Any], refusal: tuple[str, str]
) -> None:
    stream = send(admin, "post", "/streams", STREAM).json()
    assert refused_fields(send(admin, "patch", f"/streams/{stream['id']}", body)) == [refusal]


def test_a_stream_of_another_account_is_not_found(
    admin: AuditApi, charlies_admin: AuditApi, cast: Cast
) -> None:
    path = f"/streams/{send(admin, 'post', '/streams', STREAM).json()['id']}"
    assert charlies_admin.get(path).status_code == 404
    assert send(charlies_admin, "patch", path, {"enabled": False}).status_code == 404
    assert send(charlies_admin, "delete", path).status_code == 404
    assert charlies_admin.get("/streams").json()["data"] == []
    with tenant(cast.hive.pk):
        assert Stream.objects.get().is_enabled


# --- Saved views -------------------------------------------------------------------------------


def test_a_view_is_saved_replaced_and_removed(api: AuditApi, cast: Cast) -> None:
    body = {"name": "Refused", "filters": {"outcome": "refused", "event": ["api_key.*"]}}
    answer = send(api, "post", "/views", body)
    assert answer.status_code == 201, answer.content
    view = answer.json()
    assert view["filters"] == {"outcome": ["refused"], "event": ["api_key.*"]}
    assert (view["shared"], view["created_by"]["id"]) == (False, str(api.key.pk))
    again = send(api, "post", "/views", {"name": "Refused", "shared": True}).json()
    assert (again["id"], again["filters"], again["shared"]) == (view["id"], {}, True)
    assert api.get("/views").json()["data"] == [again]
    assert newest_entry(cast, "audit_view.saved").key_id == api.key.pk
    removed = send(api, "delete", f"/views/{view['id']}")
    assert removed.json() == {"object": "audit_view", "id": view["id"], "deleted": True}
    assert api.get(f"/views/{view['id']}").status_code == 404
    with tenant(cast.hive.pk):
        assert not SavedView.objects.exists()


def test_a_shared_view_is_seen_and_not_removed_and_a_private_one_not_seen(
    api: AuditApi, cast: Cast
) -> None:
    other = AuditApi(cast.hive)
    shared, mine = (
        send(api, "post", "/views", {"name": name, "shared": name == "shared"}).json()["id"]
        for name in ("shared", "mine")
    )
    assert [one["id"] for one in other.get("/views").json()["data"]] == [shared]
    assert other.get(f"/views/{shared}").status_code == 200
    assert other.get(f"/views/{mine}").status_code == 404
    assert send(other, "delete", f"/views/{shared}").status_code == 404
    assert send(other, "delete", f"/views/{mine}").status_code == 404
    with tenant(cast.hive.pk):
        assert SavedView.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({}, ("name", "invalid")),
        ({"name": "x" * 81}, ("name", "invalid")),
        ({"name": 7}, ("name", "invalid")),
        ({"name": "nul\0"}, ("name", "invalid")),
        ({"name": "x", "shared": 1}, ("shared", "invalid")),
        ({"name": "x", "filters": {"outcom": "refused"}}, ("outcom", "unknown_field")),
        ({"name": "x", "filters": {"after": str(new_id())}}, ("after", "unknown_field")),
        ({"name": "x", "query": "outcome=refused"}, ("query", "unknown_field")),
    ],
)
def test_a_view_that_cannot_be_is_refused(
    api: AuditApi, body: dict[str, Any], refusal: tuple[str, str]
) -> None:
    assert refused_fields(send(api, "post", "/views", body)) == [refusal]


def test_a_view_of_another_account_is_not_found(api: AuditApi, charlies: AuditApi) -> None:
    theirs = send(api, "post", "/views", {"name": "x", "shared": True}).json()["id"]
    assert charlies.get(f"/views/{theirs}").status_code == 404
    assert send(charlies, "delete", f"/views/{theirs}").status_code == 404
    assert charlies.get("/views").json()["data"] == []


def test_lists_go_by_cursor(api: AuditApi) -> None:
    ids = [send(api, "post", "/views", {"name": name}).json()["id"] for name in "abc"]
    first = api.get("/views", limit="2").json()
    assert ([one["id"] for one in first["data"]], first["has_more"]) == (ids[:0:-1], True)
    rest = api.get("/views", after=ids[1]).json()
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (ids[:1], False)
