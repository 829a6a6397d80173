"""/v1/suppressions: wire contract 8, with a reason and an end of ours."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from auditlog.models import Entry
from contacts import actions
from contacts.actions import Wanted
from contacts.models import Origin, Suppression
from queensmtp.ids import new_id
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast
from tests.factories.keys import bearer, make_key
from webhooks import actions as webhooks
from webhooks.models import Delivery

PATH = "/v1/suppressions"


@pytest.fixture
def token(cast: Cast) -> str:
    return make_key(cast.hive)[1]


def call(method: str, path: str, token: str, body: Any = None) -> HttpResponse:
    return Client().generic(  # type: ignore[return-value]
        method,
        path,
        data=b"" if body is None else json.dumps(body),
        content_type="application/json",
        headers=bearer(token),
        secure=True,
    )


def answer(method: str, path: str, token: str, body: Any = None, *, status: int = 200) -> Any:
    response = call(method, path, token, body)
    assert response.status_code == status, response.content
    return response.json()  # type: ignore[attr-defined]


def add(token: str, email: str, **fields: Any) -> str:
    created = answer("POST", PATH, token, {"email": email, **fields}, status=201)
    assert created["object"] == "suppression"
    return str(created["id"])


def test_it_is_created_read_and_removed(token: str) -> None:
    id = add(token, "Ann@Wasp.example", reason="Asked by telephone", unknown_field=1)
    for name in (id, "ann@wasp.example", "ANN%40wasp.example"):
        found = answer("GET", f"{PATH}/{name}", token)
        assert (found["object"], found["id"], found["email"]) == (
            "suppression",
            id,
            "ann@wasp.example",
        )
        assert (found["origin"], found["source_id"]) == ("manual", None)
        assert (found["reason"], found["expires_at"]) == ("Asked by telephone", None)
    gone = answer("DELETE", f"{PATH}/ann@wasp.example", token)
    assert gone == {"object": "suppression", "id": id, "deleted": True}
    answer("GET", f"{PATH}/{id}", token, status=404)
    answer("DELETE", f"{PATH}/{id}", token, status=404)


def test_adding_twice_gives_the_same_one(cast: Cast, token: str) -> None:
    assert add(token, "ann@wasp.example") == add(token, "ANN@wasp.example", reason="again")
    with tenant(cast.hive.pk):
        assert Entry.objects.filter(event="suppression.added", outcome="allowed").count() == 2
        assert Suppression.objects.get().reason == ""


def test_one_that_has_ended_stops_nothing_and_can_be_added_again(cast: Cast, token: str) -> None:
    soon = (timezone.now() + timedelta(minutes=5)).isoformat()
    id = add(token, "ann@wasp.example", expires_at=soon)
    with tenant(cast.hive.pk):
        Suppression.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    answer("GET", f"{PATH}/{id}", token, status=404)
    assert answer("GET", PATH, token)["data"] == []
    assert add(token, "ann@wasp.example") == id
    assert answer("GET", f"{PATH}/{id}", token)["expires_at"] is None


def test_the_list_is_walked_by_cursor_and_narrowed_by_origin(cast: Cast, token: str) -> None:
    ids = [add(token, f"{n}@wasp.example") for n in range(3)]
    with tenant(cast.hive.pk):
        (bounced,) = actions.suppress(
            by=cast.alice.actor,
            wanted=[Wanted("b@wasp.example", Origin.BOUNCE, "5.1.1", source_id=new_id())],
        )
    assert [one["id"] for one in answer("GET", f"{PATH}?origin=manual", token)["data"]] == ids[::-1]
    (found,) = answer("GET", f"{PATH}?origin=bounce", token)["data"]
    assert (found["id"], found["source_id"]) == (str(bounced.pk), str(bounced.source_id))
    first = answer("GET", f"{PATH}?limit=2", token)
    assert (len(first["data"]), first["has_more"]) == (2, True)
    second = answer("GET", f"{PATH}?limit=2&after={first['data'][-1]['id']}", token)
    assert [one["id"] for one in second["data"]] == [ids[1], ids[0]]
    for query in ("origin=none", "limit=0", f"after={new_id()}"):
        answer("GET", f"{PATH}?{query}", token, status=422)


def test_a_batch_is_added_and_removed_whole(cast: Cast, token: str) -> None:
    body = {"emails": ["a@wasp.example", "b@wasp.example", "A@wasp.example"]}
    added = answer("POST", f"{PATH}/batch/add", token, body, status=201)["data"]
    assert [one["object"] for one in added] == ["suppression"] * 3
    assert added[0]["id"] == added[2]["id"] != added[1]["id"]
    with tenant(cast.hive.pk):
        assert Entry.objects.get(event="suppression.added").count == 2
    gone = answer("POST", f"{PATH}/batch/remove", token, {"emails": ["a@wasp.example"]})["data"]
    assert gone == [{"object": "suppression", "id": added[0]["id"], "deleted": True}]
    ids = {"ids": [added[1]["id"], str(new_id()), "no id"]}
    assert len(answer("POST", f"{PATH}/batch/remove", token, ids)["data"]) == 1
    assert answer("POST", f"{PATH}/batch/remove", token, ids)["data"] == []


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (PATH, {}, "email"),
        (PATH, [], "body"),
        (PATH, {"email": 7}, "email"),
        (PATH, {"email": "ann"}, "email"),
        (PATH, {"email": "ann@wasp.example", "reason": "\0"}, "reason"),
        (PATH, {"email": "ann@wasp.example", "reason": "x" * 501}, "reason"),
        (PATH, {"email": "ann@wasp.example", "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        (PATH, {"email": "ann@wasp.example", "expires_at": "2027-13-01T00:00:00Z"}, "expires_at"),
        (PATH, {"email": "ann@wasp.example", "expires_at": "2027-01-01T00:00:00"}, "expires_at"),
        (f"{PATH}/batch/add", {"emails": []}, "emails"),
        (f"{PATH}/batch/add", {"emails": ["a@wasp.example", "b"]}, "emails[1]"),
        (f"{PATH}/batch/add", {"emails": [{}]}, "emails"),
        (f"{PATH}/batch/add", {"emails": ["a@wasp.example"] * 1_001}, "emails"),
        (f"{PATH}/batch/remove", {}, "emails"),
        (f"{PATH}/batch/remove", {"ids": ["x"], "emails": ["a@wasp.example"]}, "ids"),
    ],
)
def test_what_is_wrong_is_named(cast: Cast, token: str, path: str, body: Any, field: str) -> None:
    refused = answer("POST", path, token, body, status=422)
    assert refused["errors"][0]["field"] == field
    with tenant(cast.hive.pk):
        assert not Suppression.objects.exists()


def test_it_refuses_without_the_scope(cast: Cast, token: str) -> None:
    id = add(token, "ann@wasp.example")
    _, reader = make_key(cast.hive, scopes=("suppressions:read",))
    _, writer = make_key(cast.hive, scopes=("suppressions:write",))
    for method, path, key in (
        ("POST", PATH, reader),
        ("DELETE", f"{PATH}/{id}", reader),
        ("POST", f"{PATH}/batch/add", reader),
        ("POST", f"{PATH}/batch/remove", reader),
        ("GET", PATH, writer),
        ("GET", f"{PATH}/{id}", writer),
    ):
        assert answer(method, path, key, status=403)["name"] == "insufficient_scope"
    answer("GET", f"{PATH}/{id}", token)


def test_charlie_gets_404(cast: Cast, token: str) -> None:
    id = add(token, "ann@wasp.example")
    _, of_charlie = make_key(cast.wasp)
    for name in (id, "ann@wasp.example", str(new_id()), "nobody@wasp.example", "no-address", "%00"):
        for method in ("GET", "DELETE"):
            answer(method, f"{PATH}/{name}", of_charlie, status=404)
    assert answer("GET", PATH, of_charlie)["data"] == []
    for body in ({"ids": [id]}, {"emails": ["ann@wasp.example"]}):
        assert answer("POST", f"{PATH}/batch/remove", of_charlie, body)["data"] == []
    answer("GET", f"{PATH}/{id}", token)


def test_an_unsubscription_and_a_bounce_stand_side_by_side(cast: Cast, token: str) -> None:
    with tenant(cast.hive.pk):
        for origin in (Origin.UNSUBSCRIBE, Origin.BOUNCE):
            actions.suppress(by=cast.alice.actor, wanted=[Wanted("ann@wasp.example", origin)])
    assert answer("GET", f"{PATH}/ann@wasp.example", token)["origin"] == "bounce"
    assert len(answer("GET", PATH, token)["data"]) == 2


def test_webhooks_are_told_in_the_form_of_the_contract(cast: Cast, token: str) -> None:
    with tenant(cast.hive.pk):
        webhooks.create_endpoint(
            by=cast.alice.actor,
            url="https://hooks.example/in",
            events=["suppression.added", "suppression.removed"],
        )
    id = add(token, "ann@wasp.example")
    add(token, "ann@wasp.example")
    answer("DELETE", f"{PATH}/{id}", token)
    with tenant(cast.hive.pk):
        told = list(Delivery.objects.order_by("pk"))
    assert [one.event_type for one in told] == ["suppression.added", "suppression.removed"]
    data = json.loads(bytes(told[0].body))["data"]
    assert set(data) == {"id", "email", "origin", "source_id", "created_at"}
    assert (data["id"], data["email"], data["origin"]) == (id, "ann@wasp.example", "manual")


def test_nothing_is_kept_when_the_audit_entry_cannot_be_written(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("the log is gone")

    monkeypatch.setattr("contacts.actions.audit.record", fail)
    with tenant(cast.hive.pk), pytest.raises(RuntimeError):
        actions.suppress(by=cast.alice.actor, wanted=[Wanted("a@b.example", Origin.MANUAL)])
    with tenant(cast.hive.pk):
        assert not Suppression.objects.exists()
