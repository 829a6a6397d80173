"""POST /v1/emails"""

from typing import Any

import orjson
import pytest
from django.test import Client

from auditlog.models import Entry
from queensmtp.tenancy import tenant
from sending.models import Message, Recipient
from sending.serializers import content_of
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import bearer, make_key

BODY = {
    "from": "Hive <hello@hive.example>",
    "to": "ann@wasp.example",
    "subject": "Hello",
    "text": "Hi",
}


def post(client: Client, token: str | None, body: Any, **headers: str) -> Any:
    return client.post(
        "/v1/emails",
        data=body if isinstance(body, bytes) else orjson.dumps(body),
        content_type="application/json",
        headers={**(bearer(token) if token else {}), **headers},
    )


@pytest.fixture
def token(cast: Cast) -> str:
    make_domain(cast.hive, "hive.example")
    return make_key(cast.hive)[1]


def test_accepts_an_email_and_stores_it_whole(client: Client, cast: Cast, token: str) -> None:
    body = BODY | {"cc": ["bea@wasp.example"], "bcc": "ann@wasp.example", "html": "<p>Hi</p>"}

    response = post(client, token, body)

    assert response.status_code == 200, response.content
    assert set(response.json()) == {"id"}
    with tenant(cast.hive.pk):
        message = Message.objects.get(pk=response.json()["id"])
        recipients = Recipient.objects.filter(message=message).order_by("address")
        assert message.sender == "Hive <hello@hive.example>"
        assert content_of(message).html == "<p>Hi</p>"
        assert [(one.address, one.kind, one.state) for one in recipients] == [
            ("ann@wasp.example", "to", "queued"),
            ("bea@wasp.example", "cc", "queued"),
        ]


def test_writes_one_audit_entry(client: Client, cast: Cast, token: str) -> None:
    response = post(client, token, BODY)

    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="email.submitted")
        assert entry.outcome == "allowed"
        assert entry.target_id == response.json()["id"]
        assert entry.ip == "127.0.0.1"


def test_the_body_is_not_readable_in_the_database(client: Client, cast: Cast, token: str) -> None:
    post(client, token, BODY | {"text": "a very secret sentence"})

    with tenant(cast.hive.pk):
        assert b"secret" not in bytes(Message.objects.get().content)
