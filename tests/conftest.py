"""The test database: made by `owner`, worked with as `app`. The cast is in tests/factories."""

import functools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.core.management.commands import flush
from django.db import connections

from accounts.models import Account
from domains import dkim_keys
from queensmtp import configuration, ratelimit, valkey
from queensmtp.tenancy import PLATFORM_ACCOUNT_ID, tenant
from tests.factories.cast import Cast, make_cast
from tests.factories.webhooks import MadeUp
from tests.roles import as_role
from tests.watching import watch_the_console
from webhooks import payloads
from webhooks.catalogue import CATALOGUE
from webhooks.payloads import WebhookEvent

BROWSER_TESTS = Path(__file__).parent / "browser"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The browser comes last: Playwright leaves an event loop running in the main thread, in
    which no later test could start one of its own."""
    items.sort(key=lambda item: item.path.is_relative_to(BROWSER_TESTS))


def _connect_as(variable: str, options: dict[str, Any]) -> None:
    connection = connections["default"]
    connection.close()
    settings = configuration.database(variable)
    for name in ("USER", "PASSWORD", "HOST", "PORT"):
        connection.settings_dict[name] = settings[name]
    connection.settings_dict["OPTIONS"] = {"prepare_threshold": 5, **options}


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None) -> None:
    """The database is created and migrated by `owner`, as in production."""
    with psycopg.connect(_plain_url(os.environ["DATABASE_ADMIN_URL"]), autocommit=True) as admin:
        admin.execute("ALTER ROLE owner CREATEDB")
    _connect_as("DATABASE_OWNER_URL", {})


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """After the migrations, everything runs as `app`."""
    _connect_as("DATABASE_ADMIN_URL", {"options": "-c role=app"})
    yield
    _connect_as("DATABASE_OWNER_URL", {})


class QuickArgon2(Argon2PasswordHasher):
    """The real algorithm at the least cost it takes."""

    time_cost, memory_cost, parallelism = 1, 8, 1


@pytest.fixture(autouse=True)
def _quick_passwords_and_keys(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PASSWORD_HASHERS = ["tests.conftest.QuickArgon2"]
    monkeypatch.setattr(dkim_keys, "generate", generate_once)


# Real DKIM keys, but one pair for the whole run: an RSA key takes a quarter of a second.
generate_once = functools.cache(dkim_keys.generate)


@pytest.fixture(scope="session", autouse=True)
def _flush_as_owner() -> Iterator[None]:
    """Transactional tests end with TRUNCATE, which only the owner may do; it empties what the
    migrations put there too. For the session, since the flush comes after a test's own fixtures."""
    handle = flush.Command.handle

    def handle_as_owner(self: flush.Command, **options: Any) -> None:
        with as_role("owner"):
            handle(self, **options)
        with tenant(PLATFORM_ACCOUNT_ID):
            Account.objects.create(id=PLATFORM_ACCOUNT_ID, name="Platform", plan="enterprise")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush.Command, "handle", handle_as_owner)
        yield


@pytest.fixture(scope="session", autouse=True)
def _watched_console() -> Iterator[None]:
    """No test can change anything in the console without an audit entry."""
    with pytest.MonkeyPatch.context() as patch:
        watch_the_console(patch)
        yield


# A machine that is busy with tests is slow, not down.
valkey.TIMEOUT_SECONDS = 5.0


@pytest.fixture(autouse=True)
def _fresh_valkey() -> None:
    """Rates and throttles of one test are no other's."""
    valkey._Breaker.closed_until = 0.0
    ratelimit._local = ratelimit._LocalBuckets()
    throttles = valkey.client().keys(":1:*")
    if throttles:
        valkey.client().delete(*throttles)


@pytest.fixture(autouse=True)
def _events_keep_to_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """What any test makes the product tell of must fit the schema that receivers were given."""

    def checked(event: WebhookEvent) -> bytes:
        body = payloads.body_of(event)
        if not isinstance(event, MadeUp):
            schema = CATALOGUE[event.type].schema
            jsonschema.Draft202012Validator(schema).validate(json.loads(body))
        return body

    monkeypatch.setattr("webhooks.actions.body_of", checked)


@pytest.fixture
def cast(db: None) -> Cast:
    """Alice owns Hive, Bob is her colleague, Charlie owns another account."""
    return make_cast()


def _plain_url(url: str) -> str:
    return url.replace("postgres://", "postgresql://", 1)
