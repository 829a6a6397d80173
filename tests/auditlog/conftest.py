from typing import Any

import pytest
from django.test import Client
from hypothesis import settings

from accounts.models import Account
from tests.factories.cast import Cast
from tests.factories.keys import bearer, make_key

# A busy machine is no finding.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


class AuditApi:
    """A client that presents one key of an account, to the audit log's endpoints."""

    def __init__(self, account: Account, *scopes: str) -> None:
        self.key, token = make_key(account, scopes=scopes or ("audit:read",))
        self.client = Client(headers=bearer(token))

    def get(self, path: str = "", /, **query: Any) -> Any:
        return self.client.get(f"/v1/audit-log{path}", query, secure=True)


@pytest.fixture
def api(cast: Cast) -> AuditApi:
    return AuditApi(cast.hive)


@pytest.fixture
def charlies(cast: Cast) -> AuditApi:
    return AuditApi(cast.wasp)
