"""POST /v1/emails/batch"""

from typing import Any

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from auditlog.models import Entry
from contacts import actions as contacts
from contacts.actions import Wanted
from contacts.models import Origin
from queensmtp.api_document import document
from queensmtp.tenancy import tenant
from sending.models import IdempotentRequest, Message, Recipient
from sending.serializers import content_of
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import bearer, make_key

BODY = {"from": "Hive <hello@hive.example>", "to": "ann@wasp.example", "subject": "A", "text": "a"}
EVIL = BODY | {"from": "hello@evil.example"}


def post(client: Client, token: str, body: Any, **headers: str) -> Any:
    return client.post(
        "/v1/emails/batch",
        data=body if isinstance(body, bytes) else orjson.dumps(body),
        content_type="application/json",
        headers={**bearer(token), **headers},
    )


def permissively(client: Client, token: str, body: Any, **headers: str) -> Any:
    return post(client, token, body, **{"x-batch-validation": "permissive"}, **headers)


@pytest.fixture
def token(cast: Cast) -> str:
    make_domain(cast.hive, "hive.example")
    return make_key(cast.hive)[1]


def stored(cast: Cast) -> int:
    with tenant(cast.hive.pk):
        return Message.objects.count() + Recipient.objects.count() + counted_answers()


def counted_answers() -> int:
    return IdempotentRequest.objects.count()


def entries(cast: Cast) -> list[Entry]:
    with tenant(cast.hive.pk):
        return list(Entry.objects.filter(event="email_batch.submitted"))


def test_accepts_each_email_in_order_and_stores_it_whole(
    client: Client, cast: Cast, token: str
) -> None:
    second = BODY | {
        "to": ['"Bea \\"B\\" \\\\" <bea@wasp.example>', "cy@wasp.example"],
        "cc": "dan@wasp.example",
        "subject": "B",
        "html": "<p>b</p>",
        "tags": [{"name": "kind", "value": "test"}],
        "headers": {"X-Order": "17"},
        "attachments": [{"filename": "a.txt", "content": "aGk="}],
    }

    response = post(client, token, [BODY, second])

    assert response.status_code == 202, response.content
    assert "202" in document()["paths"]["/v1/emails/batch"]["post"]["responses"]
    assert set(response.json()) == {"data"}
    with tenant(cast.hive.pk):
        first, other = (Message.objects.get(pk=one["id"]) for one in response.json()["data"])
        assert (first.subject, first.to, first.via) == ("A", ["ann@wasp.example"], "batch")
        assert other.to == ['"Bea \\"B\\" \\\\" <bea@wasp.example>', "cy@wasp.example"]
        assert (other.cc, other.bcc, other.tags) == (["dan@wasp.example"], None, second["tags"])
        content = content_of(other)
        assert content is not None and content.attachments[0].data == b"hi"
        assert content.headers == (("X-Order", "17"),)
        found = Recipient.objects.filter(message=other).order_by("address")
        assert [(one.address, one.kind, one.state) for one in found] == [
            ("bea@wasp.example", "to", "queued"),
            ("cy@wasp.example", "to", "queued"),
            ("dan@wasp.example", "cc", "queued"),
        ]


def test_writes_one_entry_with_its_count(client: Client, cast: Cast, token: str) -> None:
    post(client, token, [BODY] * 3)

    (entry,) = entries(cast)
    assert (entry.outcome, entry.count) == ("allowed", 3)
    assert entry.changes == {"from": ["hello@hive.example"], "messages": 3, "recipients": 3}
    with tenant(cast.hive.pk):
        assert set(Message.objects.values_list("request_id", flat=True)) == {entry.request_id}


def test_the_number_of_statements_does_not_grow_with_the_batch(
    client: Client, cast: Cast, token: str
) -> None:
    counts = []
    for many in (1, 50):
        with CaptureQueriesContext(connection) as queries:
            assert post(client, token, [BODY] * many).status_code == 202
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_strict_takes_all_or_none_and_names_each_bad_item(
    client: Client, cast: Cast, token: str
) -> None:
    bad = [BODY, BODY | {"to": "nobody"}, BODY, BODY | {"subject": None}]

    response = post(client, token, bad)

    assert response.status_code == 422
    assert [one["field"] for one in response.json()["errors"]] == ["[1].to", "[3].subject"]
    assert "Item 1" in response.json()["message"]
    assert stored(cast) == 0
    (entry,) = entries(cast)
    assert (entry.outcome, entry.changes["reason"]) == ("refused", "validation_error")


def test_one_evil_item_among_many_is_refused(client: Client, cast: Cast, settings: Any) -> None:
    make_domain(cast.hive, "hive.example")
    settings.BATCH_MAX = 1_000
    _, token = make_key(cast.hive, domains=("hive.example",))
    items = [BODY] * 1_000
    items[537] = EVIL

    response = post(client, token, items)
    assert response.status_code == 403
    assert response.json()["name"] == "domain_not_allowed"
    assert response.json()["errors"][0]["field"] == "[537].from"
    assert stored(cast) == 0

    response = permissively(client, token, items)
    assert response.status_code == 202
    assert len(response.json()["data"]) == 999
    assert [one["index"] for one in response.json()["errors"]] == [537]
    assert stored(cast) == 2 * 999


def test_permissive_takes_the_good_and_names_the_rest(
    client: Client, cast: Cast, token: str
) -> None:
    items = [BODY, BODY | {"to": "nobody"}, EVIL, BODY | {"subject": "D"}, 17]

    answer = permissively(client, token, items).json()

    with tenant(cast.hive.pk):
        subjects = [Message.objects.get(pk=one["id"]).subject for one in answer["data"]]
    assert subjects == ["A", "D"]
    assert [one["index"] for one in answer["errors"]] == [1, 2, 4]
    assert "`to`" in answer["errors"][0]["message"]
    assert "evil.example is not verified" in answer["errors"][1]["message"]
    assert entries(cast)[0].changes["refused"] == 3


def test_permissive_with_nothing_good_stores_nothing(
    client: Client, cast: Cast, token: str
) -> None:
    response = permissively(client, token, [EVIL], **{"idempotency-key": "one"})

    assert response.status_code == 202
    assert response.json()["data"] == []
    assert stored(cast) == 0
    assert [entry.outcome for entry in entries(cast)] == ["refused"]


def test_a_domain_that_is_not_verified_refuses_the_batch(
    client: Client, cast: Cast, token: str
) -> None:
    response = post(client, token, [BODY, EVIL])

    assert response.status_code == 403
    assert response.json()["errors"] == [
        response.json()["errors"][0] | {"field": "[1].from", "code": "domain_not_verified"}
    ]
    assert stored(cast) == 0


@pytest.mark.parametrize("body", [[], {}, BODY, "x", [BODY] * 101])
def test_a_batch_is_a_list_of_1_to_100(client: Client, cast: Cast, token: str, body: Any) -> None:
    response = post(client, token, body)

    assert response.status_code == 422
    assert response.json()["name"] == "validation_error"
    assert stored(cast) == 0


def test_the_way_of_validation_is_one_of_two(client: Client, cast: Cast, token: str) -> None:
    response = post(client, token, [BODY], **{"x-batch-validation": "lax"})

    assert response.status_code == 422


def test_a_repeated_batch_gets_the_same_ids(client: Client, cast: Cast, token: str) -> None:
    first, second = (
        permissively(client, token, [BODY, EVIL, BODY], **{"idempotency-key": "k"})
        for _ in range(2)
    )

    assert first.json() == second.json()
    assert second["Idempotent-Replayed"] == "true"
    with tenant(cast.hive.pk):
        assert Message.objects.count() == 2
    other = permissively(client, token, [BODY], **{"idempotency-key": "k"})
    assert (other.status_code, other.json()["name"]) == (409, "invalid_idempotent_request")
    strict = post(client, token, [BODY, EVIL, BODY], **{"idempotency-key": "k"})
    assert strict.status_code == 409


def test_a_key_is_of_one_endpoint(client: Client, cast: Cast, token: str) -> None:
    post(client, token, [BODY], **{"idempotency-key": "k"})
    response = client.post(
        "/v1/emails",
        data=orjson.dumps(BODY),
        content_type="application/json",
        headers={**bearer(token), "idempotency-key": "k"},
    )

    assert response.status_code == 202
    with tenant(cast.hive.pk):
        assert Message.objects.count() == 2


def test_refuses_without_the_scope_and_with_another_method(
    client: Client, cast: Cast, token: str
) -> None:
    _, weak = make_key(cast.hive, scopes=("email:read",))

    assert post(client, weak, [BODY]).json()["name"] == "insufficient_scope"
    refused = client.get("/v1/emails/batch", headers=bearer(token))
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST, OPTIONS")


def test_charlie_cannot_send_from_hive(client: Client, cast: Cast, token: str) -> None:
    _, theirs = make_key(cast.wasp)

    assert post(client, theirs, [BODY]).status_code == 403
    assert stored(cast) == 0


@pytest.mark.parametrize("path", ["/v1//emails/batch", "/v1/emails/batch/", "/v1//emails/batch//"])
def test_slashes_too_many_are_no_fault(client: Client, cast: Cast, token: str, path: str) -> None:
    response = client.post(
        path, data=orjson.dumps([BODY]), content_type="application/json", headers=bearer(token)
    )
    assert response.status_code == 202


def test_a_suppressed_recipient_of_a_batch_is_stored_as_such(
    client: Client, cast: Cast, token: str
) -> None:
    with tenant(cast.hive.pk):
        contacts.suppress(by=cast.alice.actor, wanted=[Wanted("ann@wasp.example", Origin.BOUNCE)])

    post(client, token, [BODY, BODY | {"to": "bea@wasp.example"}])

    with tenant(cast.hive.pk):
        assert dict(Recipient.objects.values_list("address", "state")) == {
            "ann@wasp.example": "suppressed",
            "bea@wasp.example": "queued",
        }
