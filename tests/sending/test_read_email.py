"""GET /v1/emails and GET /v1/emails/{id}"""

from typing import Any

import pytest
from django.test import Client

from auditlog.models import Entry
from queensmtp.tenancy import tenant
from sending.models import Recipient
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.factories.keys import bearer, make_key

NOBODYS = "01a20033-91d9-76f4-a228-305a4756aa65"


def get(client: Client, path: str, token: str) -> Any:
    return client.get(f"/v1/emails{path}", headers=bearer(token))


@pytest.fixture
def token(cast: Cast) -> str:
    make_domain(cast.hive, "hive.example")
    return make_key(cast.hive, scopes=("email:read",))[1]


def test_shows_an_email_whole(client: Client, cast: Cast, token: str) -> None:
    email_id = make_email(cast.hive, html="<b>Hi</b>", tags=[{"name": "kind", "value": "test"}])

    found = get(client, f"/{email_id}", token).json()

    assert found | {"created_at": ""} == {
        "object": "email",
        "id": str(email_id),
        "message_id": f"<{email_id}@hive.example>",
        "from": "Hive <hello@hive.example>",
        "to": ["ann@wasp.example"],
        "cc": None,
        "bcc": None,
        "reply_to": None,
        "subject": "Hello",
        "html": "<b>Hi</b>",
        "text": "Hi",
        "created_at": "",
        "scheduled_at": None,
        "last_event": "queued",
        "tags": [{"name": "kind", "value": "test"}],
        "topic_id": None,
    }


def test_the_last_event_is_that_of_the_least_final_recipient(
    client: Client, cast: Cast, token: str
) -> None:
    email_id = make_email(cast.hive, cc="bea@wasp.example")
    with tenant(cast.hive.pk):
        Recipient.objects.filter(address="ann@wasp.example").update(state="delivered")
        Recipient.objects.filter(address="bea@wasp.example").update(state="deferred")

    assert get(client, f"/{email_id}", token).json()["last_event"] == "delivery_delayed"


def test_reading_a_body_leaves_an_entry_that_is_no_ordinary_read(
    client: Client, cast: Cast, token: str
) -> None:
    email_id = make_email(cast.hive)
    get(client, f"/{email_id}", token)

    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="email.content_opened")
        assert (entry.target_id, entry.ordinary_read) == (str(email_id), False)


def test_lists_newest_first_without_bodies(client: Client, cast: Cast, token: str) -> None:
    ids = [str(make_email(cast.hive)) for _ in range(3)]

    page = get(client, "?limit=2", token).json()

    assert [one["id"] for one in page["data"]] == ids[:0:-1]
    assert page["has_more"] is True
    assert not {"html", "text", "object"} & set(page["data"][0])
    older = get(client, f"?limit=2&after={ids[1]}", token).json()
    assert [one["id"] for one in older["data"]] == ids[:1]
    newer = get(client, f"?before={ids[1]}", token).json()
    assert [one["id"] for one in newer["data"]] == ids[2:]


def test_the_number_of_queries_does_not_grow_with_the_list(
    client: Client, cast: Cast, token: str, django_assert_max_num_queries: Any
) -> None:
    for _ in range(5):
        make_email(cast.hive)
    with django_assert_max_num_queries(10):
        get(client, "", token)


@pytest.mark.parametrize("limit", [0, 101, "x", "-1"])
def test_refuses_a_limit_that_is_none(client: Client, cast: Cast, token: str, limit: Any) -> None:
    response = get(client, f"?limit={limit}", token)

    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "limit"


def test_refuses_without_the_scope(client: Client, cast: Cast, token: str) -> None:
    email_id = make_email(cast.hive)
    _, weak = make_key(cast.hive, scopes=("email:send",))

    for path in ("", f"/{email_id}"):
        assert get(client, path, weak).json()["name"] == "insufficient_scope"


def test_charlie_gets_404(client: Client, cast: Cast, token: str) -> None:
    email_id = make_email(cast.hive)
    _, theirs = make_key(cast.wasp)

    found, missing = (get(client, f"/{one}", theirs) for one in (email_id, NOBODYS))

    assert found.status_code == missing.status_code == 404
    assert found.json()["message"] == missing.json()["message"]
    assert get(client, "", theirs).json()["data"] == []
    assert get(client, f"?after={email_id}", theirs).status_code == 422
