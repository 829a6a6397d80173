"""A program that calls /v1/webhooks with one key."""

from typing import Any

import orjson
from django.test import Client

from accounts.models import Account
from tests.factories.keys import bearer, make_key

BOTH = ("webhooks:read", "webhooks:write")


class Api:
    """A client that presents one key."""

    def __init__(self, account: Account, *scopes: str) -> None:
        _, token = make_key(account, scopes=scopes or BOTH)
        self._client = Client(headers=bearer(token))

    def call(self, method: str, path: str = "", body: Any = None) -> Any:
        return self._client.generic(
            method,
            f"/v1/webhooks{path}",
            data=b"" if body is None else orjson.dumps(body),
            content_type="application/json",
            secure=True,
        )
