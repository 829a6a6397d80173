"""POST /v1/suppressions/import and GET /v1/suppressions/export"""

import csv
import io
import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from auditlog.models import Entry
from contacts import actions, csv_files, file_api
from contacts.actions import Wanted
from contacts.models import Origin, Suppression
from queensmtp.api_document import document
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast, make_cast
from tests.factories.keys import bearer, make_key
from tests.factories.webhooks import make_endpoint
from webhooks.models import Delivery

IMPORT, EXPORT = "/v1/suppressions/import", "/v1/suppressions/export"


@pytest.fixture
def token(cast: Cast) -> str:
    return make_key(cast.hive)[1]


def send(token: str, body: Any, *, kind: str = "", query: str = "") -> Any:
    is_file = isinstance(body, str | bytes)
    return Client().generic(
        "POST",
        IMPORT + query,
        data=body if is_file else json.dumps(body),
        content_type=kind or ("text/csv; charset=utf-8" if is_file else "application/json"),
        headers=bearer(token),
        secure=True,
    )


def export(token: str, query: str = "") -> HttpResponse:
    return Client().get(EXPORT + query, headers=bearer(token), secure=True)  # type: ignore[return-value]


def rows_of(response: Any) -> list[dict[str, str]]:
    assert response.status_code == 200, response.content
    text = b"".join(response.streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def stored(cast: Cast) -> list[tuple[str, str, str]]:
    with tenant(cast.hive.pk):
        found = Suppression.objects.order_by("email").values_list("email", "origin", "reason")
        return list(found)


def events(cast: Cast, event: str) -> list[Entry]:
    with tenant(cast.hive.pk):
        return list(Entry.objects.filter(event=event).order_by("pk"))


def wait_until_it_waits() -> None:
    """Until another connection stands before a lock of ours."""
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
            if cursor.fetchone()[0]:
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")


# --- In ------------------------------------------------------------------------------------------


def test_takes_a_csv_file(cast: Cast, token: str) -> None:
    text = "email,origin,reason\nAnn@Wasp.example,bounce,550 no\nbea@wasp.example,,\n"
    answer = send(token, text)

    assert answer.status_code == 201, answer.content
    assert "201" in document()["paths"][IMPORT]["post"]["responses"]
    assert answer.json() == {"object": "suppression_import", "added": 2, "total": 2}
    assert stored(cast) == [
        ("ann@wasp.example", "bounce", "550 no"),
        ("bea@wasp.example", "manual", ""),
    ]


def test_takes_json(cast: Cast, token: str) -> None:
    end = (timezone.now() + timedelta(days=3)).isoformat()
    items = [
        {"email": "ann@wasp.example", "origin": "complaint", "reason": "spam", "expires_at": end},
        {"email": "bea@wasp.example", "origin": None},
    ]
    answer = send(token, {"suppressions": items})

    assert answer.status_code == 201, answer.content
    assert stored(cast) == [
        ("ann@wasp.example", "complaint", "spam"),
        ("bea@wasp.example", "manual", ""),
    ]
    with tenant(cast.hive.pk):
        found = Suppression.objects.get(email="ann@wasp.example").expires_at
        assert found is not None and found.isoformat() == end


def test_an_apostrophe_may_begin_an_address(cast: Cast, token: str) -> None:
    """The mailbox without it is somebody else's, who would get no mail any more."""
    assert send(token, {"suppressions": [{"email": "'ann@wasp.example"}]}).status_code == 201
    assert send(token, "email\n'bea@wasp.example\n'+cat@wasp.example\n").status_code == 201
    assert [email for email, *_ in stored(cast)] == [
        "'ann@wasp.example",
        "'bea@wasp.example",
        "+cat@wasp.example",
    ]
    again = b"".join(export(token).streaming_content)  # type: ignore[attr-defined]
    assert send(token, again).json()["added"] == 0


@pytest.mark.django_db(transaction=True)
def test_two_imports_of_the_same_in_another_order_both_succeed() -> None:
    cast = make_cast()
    token = make_key(cast.hive)[1]
    ann, bea = Wanted("ann@wasp.example", Origin.MANUAL), Wanted("bea@wasp.example", Origin.MANUAL)

    def import_the_other_way() -> int:
        try:
            items = [{"email": one.email} for one in (bea, ann)]
            return int(send(token, {"suppressions": items}).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with tenant(cast.hive.pk):
            actions.suppress(by=cast.alice.actor, wanted=[ann])
            other = pool.submit(import_the_other_way)
            wait_until_it_waits()
            actions.suppress(by=cast.alice.actor, wanted=[bea])
        assert other.result() == 201
    assert len(stored(cast)) == 2


def test_is_one_entry_with_its_count_and_one_webhook_each(cast: Cast, token: str) -> None:
    make_endpoint(cast.hive, "https://hooks.hive.example/", events=["suppression.added"])
    send(token, "ann@wasp.example\nbea@wasp.example\n")

    (entry,) = events(cast, "suppression.imported")
    assert (entry.outcome, entry.count, entry.actor_type) == ("allowed", 2, "key")
    with tenant(cast.hive.pk):
        assert Delivery.objects.filter(event_type="suppression.added").count() == 2


def test_twice_changes_nothing_more_and_says_so(cast: Cast, token: str) -> None:
    send(token, "ann@wasp.example\n")
    again = send(token, "ANN@wasp.example\nann@wasp.example\nbea@wasp.example\n")

    assert again.json() == {"object": "suppression_import", "added": 1, "total": 2}
    assert len(stored(cast)) == 2


def test_one_line_that_is_wrong_stops_all_and_each_is_named(cast: Cast, token: str) -> None:
    text = (
        "email,origin,expires_at\n"
        "ann@wasp.example,,\n"
        "nobody,,\n"
        "bea@wasp.example,felt,\n"
        "cy@wasp.example,,2001-01-01T00:00:00Z\n"
    )
    refused = send(token, text)

    assert refused.status_code == 422
    named = {one["field"]: one["message"] for one in refused.json()["errors"]}
    assert set(named) == {"line 3", "line 4", "line 5"}
    assert named["line 5"] == "it has ended already."
    assert refused.json()["message"].startswith("`line 3`: the address ")
    assert refused.json()["message"].endswith("And 2 more. Nothing was imported.")
    assert stored(cast) == []
    (entry,) = events(cast, "suppression.imported")
    assert (entry.outcome, entry.changes["reason"]) == ("refused", "validation_error")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "suppressions"),
        ({"suppressions": []}, "suppressions"),
        ({"suppressions": "ann@wasp.example"}, "suppressions"),
        ([], "suppressions"),
        ({"suppressions": [{"email": "ann@wasp.example"}], "dry": True}, "dry"),
        ({"suppressions": ["ann@wasp.example"]}, "suppressions[0]"),
        ({"suppressions": [{"email": "a@b.example", "e-mail": "x"}]}, "suppressions[0].e-mail"),
        ({"suppressions": [{"email": "a@b.example"}, {}]}, "suppressions[1].email"),
        ({"suppressions": [{"email": 5}]}, "suppressions[0].email"),
        ({"suppressions": [{"email": "a@b.example", "origin": "x"}]}, "suppressions[0].origin"),
        (
            {"suppressions": [{"email": "a@b.example", "expires_at": "2027"}]},
            "suppressions[0].expires_at",
        ),
        ("", "suppressions"),
        ("name,mail\nx,y\n", "body"),
        ("email\n\n", "body"),
        (b"\xff\xfe", "body"),
        ("email\n" + "a" * 20_000, "body"),
    ],
)
def test_what_cannot_be_read_is_named(cast: Cast, token: str, body: Any, field: str) -> None:
    refused = send(token, body)
    assert refused.status_code == 422, refused.content
    assert refused.json()["errors"][0]["field"] == field
    assert stored(cast) == []


def test_is_bounded(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "ROWS_AT_MOST", 2)
    assert send(token, "email\na@b.example\nb@b.example\nc@b.example\n").status_code == 422
    items = [{"email": f"{at}@b.example"} for at in range(3)]
    assert send(token, {"suppressions": items}).status_code == 422
    monkeypatch.setattr(csv_files, "BYTES_AT_MOST", 10)
    assert send(token, "ann@wasp.example\n").status_code == 413


def test_no_secret_is_imported(cast: Cast, token: str) -> None:
    refused = send(token, f"email,reason\nann@wasp.example,{token}\n")
    assert refused.status_code == 422
    assert token not in refused.content.decode()
    assert stored(cast) == []


def test_an_unknown_query_is_refused(token: str) -> None:
    assert send(token, "a@b.example\n", query="?dry_run=true").status_code == 422
    assert export(token, "?orgin=bounce").status_code == 422
    assert export(token, "?origin=felt").status_code == 422
    assert export(token, "?after=1").status_code == 422


# --- Out -----------------------------------------------------------------------------------------


def test_an_export_is_what_an_import_takes(cast: Cast, token: str) -> None:
    end = (timezone.now() + timedelta(days=3)).isoformat()
    items = [
        {"email": "ann@wasp.example", "origin": "bounce", "reason": 'no "such", user'},
        {"email": "bea@wasp.example", "expires_at": end},
    ]
    send(token, {"suppressions": items})
    response: Any = export(token)
    assert response["Content-Type"] == "text/csv"
    assert response["Cache-Control"] == "no-store, private"
    text = b"".join(response.streaming_content)
    of_charlie = make_key(cast.wasp)[1]

    assert send(of_charlie, text).json()["added"] == 2
    there = {one["email"]: one | {"created_at": ""} for one in rows_of(export(of_charlie))}
    for one in csv.DictReader(io.StringIO(text.decode())):
        assert there[one["email"]] == one | {"created_at": ""}


def test_an_export_holds_what_stands_and_no_formula(cast: Cast, token: str) -> None:
    send(token, {"suppressions": [{"email": "ann@wasp.example", "reason": "=1+1"}]})
    send(token, "gone@wasp.example\n")
    Client().delete("/v1/suppressions/gone@wasp.example", headers=bearer(token), secure=True)

    (row,) = rows_of(export(token))

    assert (row["email"], row["reason"]) == ("ann@wasp.example", "'=1+1")


def test_an_export_leaves_an_entry_that_is_no_ordinary_read(cast: Cast, token: str) -> None:
    send(token, "email,origin\nann@wasp.example,bounce\nbea@wasp.example,manual\n")
    assert [one["email"] for one in rows_of(export(token, "?origin=bounce"))] == [
        "ann@wasp.example"
    ]

    (entry,) = events(cast, "suppression.exported")
    assert (entry.count, entry.ordinary_read) == (1, False)
    assert entry.changes == {"filters": {"origin": "bounce"}, "rows": 1}


def test_a_long_list_goes_on_where_the_last_answer_ended(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_api, "EXPORTED_AT_ONCE", 2)
    for name in "abcde":
        send(token, f"{name}@wasp.example\n")

    seen: list[str] = []
    query = ""
    for _ in range(3):
        response = export(token, query)
        seen += [one["email"][0] for one in rows_of(response)]
        query = f"?after={response.get('X-Next-After')}"

    assert "".join(seen) == "edcba"
    assert query == "?after=None"


# --- Who may -------------------------------------------------------------------------------------


def test_each_needs_its_scope(cast: Cast) -> None:
    _, reader = make_key(cast.hive, scopes=("suppressions:read",))
    _, writer = make_key(cast.hive, scopes=("suppressions:write",))
    assert send(reader, "a@b.example\n").json()["name"] == "insufficient_scope"
    assert export(writer).json()["name"] == "insufficient_scope"  # type: ignore[attr-defined]
    assert send(writer, "a@b.example\n").status_code == 201
    assert len(rows_of(export(reader))) == 1


def test_charlie_gets_nothing_of_it(cast: Cast, token: str) -> None:
    send(token, "ann@wasp.example\n")
    assert rows_of(export(make_key(cast.wasp)[1])) == []
