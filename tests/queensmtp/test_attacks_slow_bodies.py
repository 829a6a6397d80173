"""A request that was begun with rights, and ends after they were taken away."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import orjson
import pytest
from django.test import Client

from apikeys import actions
from apikeys.models import ApiKey
from queensmtp.tenancy import tenant
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import bearer, make_key

BODIES: dict[str, dict[str, Any]] = {
    "keys": {"name": "Ghost", "environment": "production", "scopes": ["email:send"]},
    "webhooks": {"endpoint": "https://hooks.wasp.example/", "events": ["email.sent"]},
    "emails": {
        "from": "hello@hive.example",
        "to": "ann@wasp.example",
        "subject": "Hello",
        "text": "Hi",
    },
}


class SlowBody(BytesIO):
    """A body during which something happens."""

    def __init__(self, body: bytes, meanwhile: Callable[[], object]) -> None:
        super().__init__(body)
        self.meanwhile = meanwhile

    def read(self, size: int | None = -1, /) -> bytes:
        self.meanwhile()
        return super().read(size)


def post_slowly(client: Client, path: str, token: str, meanwhile: Callable[[], object]) -> Any:
    body = orjson.dumps(BODIES[path])
    request: dict[str, Any] = {
        "wsgi.input": SlowBody(body, meanwhile),
        "CONTENT_LENGTH": str(len(body)),
    }
    return client.generic(
        "POST", f"/v1/{path}", headers=bearer(token), CONTENT_TYPE="application/json", **request
    )


@pytest.mark.parametrize("path", BODIES)
def test_a_key_that_is_revoked_during_the_body_does_nothing(
    client: Client, cast: Cast, path: str
) -> None:
    make_domain(cast.hive, "hive.example")
    key, token = make_key(cast.hive)

    def revoke() -> None:
        with tenant(cast.hive.pk):
            actions.revoke(by=cast.alice.actor, key=key)

    assert post_slowly(client, path, token, revoke).status_code == 401
    with tenant(cast.hive.pk):
        assert ApiKey.objects.count() == 1


def test_a_key_that_is_narrowed_during_the_body_sends_within_its_new_limits(
    client: Client, cast: Cast
) -> None:
    make_domain(cast.hive, "hive.example")
    key, token = make_key(cast.hive)

    def narrow() -> None:
        with tenant(cast.hive.pk):
            changes = {"allowed_recipients": ["@hive.example"]}
            actions.update(by=cast.alice.actor, key=key, changes=changes)

    response = post_slowly(client, "emails", token, narrow)

    assert response.status_code == 403
    assert response.json()["name"] == "recipient_not_allowed"
