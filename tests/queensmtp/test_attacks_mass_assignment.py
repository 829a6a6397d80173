"""Threat C12: fields that nobody may write, on every write operation of the API document.

A new operation is tried here without a word. It is taken for our own, which refuses what it does
not know, unless it is named among those that pass it over. One whose path or body needs an object
that these tests cannot make by themselves fails and says so.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection, models, transaction
from django.test import Client
from django.utils import timezone

from queensmtp.api_document import OPERATIONS
from queensmtp.tenancy import tenant
from tests.apikeys.test_github_reports import GITHUB, signed
from tests.apikeys.test_github_reports import KEY_ID as GITHUB_KEY_ID
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.factories.keys import bearer, make_key
from tests.factories.webhooks import enqueue, make_endpoint
from webhooks.models import Delivery

PARAMETER = re.compile(r"{(\w+)}")
WRITES = sorted(name for name in OPERATIONS if not name.startswith("GET "))

# The official clients send names of their own along, and GitHub may add some: passed over.
LENIENT = {
    *("POST /v1/emails", "POST /v1/emails/batch"),
    *("PATCH /v1/emails/{email_id}", "POST /v1/emails/{email_id}/cancel"),
    *("POST /v1/domains", "PATCH /v1/domains/{domain_id}", "DELETE /v1/domains/{domain_id}"),
    "POST /v1/domains/{domain_id}/verify",
    *("POST /v1/api-keys", "PATCH /v1/api-keys/{key_id}", "DELETE /v1/api-keys/{key_id}"),
    *("POST /v1/suppressions", "DELETE /v1/suppressions/{name}"),
    *("POST /v1/suppressions/batch/add", "POST /v1/suppressions/batch/remove"),
    *("POST /v1/webhooks", "PATCH /v1/webhooks/{webhook_id}", "DELETE /v1/webhooks/{webhook_id}"),
    "POST /v1/webhooks/{webhook_id}/signing-secret/rotate",
    "POST /v1/webhooks/{webhook_id}/events/{event_id}/replay",
    "POST /v1/leaked-keys/github",
}

FORGED_ID = "01a20033-91d9-76f4-a228-305a4756aa65"
LONG_AGO = "2000-01-02T03:04:05"
CLASSIC = {
    "account_id": FORGED_ID,
    "tenant_id": FORGED_ID,
    "id": FORGED_ID,
    "status": "delivered",
    "is_admin": True,
    "suspended": False,
    "quota": 777_777,
    "created_at": f"{LONG_AGO}Z",
    "verified": True,
    "role": "owner",
    "plan": "enterprise",
}
# Where the refusal itself is told.
AUDIT_TABLES = {"auditlog_entry", "auditlog_pending"}
MARKS = (FORGED_ID, LONG_AGO, "777777", "forged")


def columns(*, flag: bool) -> dict[str, Any]:
    """A forged value for every column of every table of ours."""
    forged: dict[str, Any] = {}
    for model in apps.get_models():
        for field in model._meta.concrete_fields:
            forged[field.name] = forged[field.attname] = forged_value(field, flag=flag)
    return forged | CLASSIC


def forged_value(field: "models.Field[Any, Any]", *, flag: bool) -> Any:
    kind = field.get_internal_type()
    if isinstance(field, models.ForeignKey) or kind == "UUIDField":
        return FORGED_ID
    if kind in ("DateTimeField", "DateField"):
        return f"{LONG_AGO}Z"
    if kind == "BooleanField":
        return flag
    if "Integer" in kind or kind in ("AutoField", "FloatField"):
        return 777_777
    if kind == "ArrayField":
        return ["forged"]
    return {"forged": "forged"} if kind == "JSONField" else "forged"


# What an operation needs to go well


class World:
    """Objects of Hive, each made when an operation asks for it."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        self.token = make_key(cast.hive)[1]
        self.domain = make_domain(cast.hive, "hive.example")

    def path(self, operation: str) -> str:
        """With the id of an object of Hive in each place."""
        path = operation.split(" ")[1]
        while found := PARAMETER.search(path):
            path = (
                path[: found.start()]
                + self.id_of(found[1], path[: found.start()])
                + path[found.end() :]
            )
        return path

    def id_of(self, parameter: str, before: str) -> str:
        """Of an object that is made as this world says, or by posting to what stands before."""
        if hasattr(self, parameter):
            return str(getattr(self, parameter)())
        creation = f"POST {before.rstrip('/')}"
        assert creation in OPERATIONS, f"{{{parameter}}} is of no object yet: make one in World."
        return self.made(creation)

    def key_id(self) -> object:
        return make_key(self.cast.hive)[0].pk

    def domain_id(self) -> object:
        return self.domain.pk

    def email_id(self) -> object:
        return make_email(self.cast.hive, scheduled_at=tomorrow())

    def webhook_id(self) -> object:
        return make_endpoint(self.cast.hive, "https://127.0.0.1:9/").pk

    def event_id(self) -> object:
        enqueue(self.cast.hive)
        with tenant(self.cast.hive.pk):
            return Delivery.objects.latest("event_id").event_id

    def made(self, operation: str) -> str:
        response = self.call(operation, self.path(operation), self.body(operation))
        assert response.status_code == OPERATIONS[operation].status, response.content
        return str(response.json()["id"])

    def body(self, operation: str) -> Any:
        """The example of the document, with what it names as it is here."""
        example = json.loads(json.dumps(OPERATIONS[operation].body or {}))
        return FITTING[operation](self, example) if operation in FITTING else example

    def call(self, operation: str, path: str, body: Any) -> Any:
        data = json.dumps(body).encode()
        return Client().generic(
            operation.split(" ")[0],
            path,
            data,
            content_type="application/json",
            headers=bearer(self.token) | signature_of(data),
        )


def tomorrow() -> str:
    return (timezone.now() + timedelta(days=1)).isoformat()


def signature_of(data: bytes) -> dict[str, str]:
    """GitHub's, which no other operation looks at."""
    return {
        "Github-Public-Key-Identifier": GITHUB_KEY_ID,
        "Github-Public-Key-Signature": signed(data),
    }


FITTING: dict[str, Callable[[World, Any], Any]] = {
    "POST /v1/api-keys": lambda world, body: body | {"domain_id": str(world.domain.pk)},
    "POST /v1/audit-log/streams": lambda world, body: body | {"authorization": "Splunk x"},
    "POST /v1/domains": lambda world, body: body | {"name": "new.example"},
    "POST /v1/domains/{domain_id}/dkim/rotate": lambda world, body: {"selector": "own"},
    "POST /v1/emails": lambda world, body: sendable(body),
    "POST /v1/emails/batch": lambda world, body: [sendable(one) for one in body],
    "PATCH /v1/emails/{email_id}": lambda world, body: {"scheduled_at": tomorrow()},
    "POST /v1/suppressions/batch/remove": lambda world, body: {"emails": body["emails"]},
}


def sendable(body: Any) -> Any:
    return body | {"from": "a@hive.example", "scheduled_at": tomorrow()}


# What an operation did


State = dict[tuple[str, str], Counter[str]]

EVERY_ROW = """
SELECT relname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE n.nspname = 'public' AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY relname
"""


def rows() -> Counter[tuple[str, str]]:
    """Every row of every table, past all policies."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT current_user::text")
        before = cursor.fetchone()[0]
        cursor.execute("SET ROLE NONE")
        cursor.execute(EVERY_ROW)
        tables = [name for (name,) in cursor.fetchall()]
        cursor.execute(
            " UNION ALL ".join(f"SELECT '{one}', to_jsonb(t)::text FROM {one} t" for one in tables)
        )
        found = Counter((name, row) for name, row in cursor.fetchall())
        cursor.execute(f"SET ROLE {before}")
    return found


@dataclass(frozen=True)
class Done:
    """The answer to a call and the rows that it left behind. It was undone."""

    status: int
    answer: str
    left: Counter[tuple[str, str]]

    @property
    def tables(self) -> set[str]:
        return {table for table, _ in self.left}

    def columns(self) -> State:
        """How often each value stands in each column."""
        values: State = {}
        for (table, row), count in self.left.items():
            for column, value in json.loads(row).items():
                values.setdefault((table, column), Counter())[json.dumps(value)] += count
        return values


def done(world: World, operation: str, path: str, body: Any) -> Done:
    before = rows()
    with transaction.atomic():
        response = world.call(operation, path, body)
        left = rows() - before
        transaction.set_rollback(True)
    return Done(response.status_code, response.content.decode(), left)


def with_fields(body: Any, forged: Mapping[str, Any]) -> Any:
    """The body with every forged field that the operation does not know."""
    if isinstance(body, list):
        return [with_fields(one, forged) for one in body]
    return {**forged, **body}


def unknown_to(operation: str, forged: Mapping[str, Any]) -> dict[str, Any]:
    example = OPERATIONS[operation].body or {}
    known = example[0] if isinstance(example, list) else example
    return {name: value for name, value in forged.items() if name not in known}


@pytest.fixture
def world(cast: Cast, settings: Any) -> World:
    settings.GITHUB_SECRET_SCANNING_KEYS = {GITHUB_KEY_ID: GITHUB.public_key()}
    return World(cast)


@pytest.mark.parametrize("operation", sorted(LENIENT))
def test_what_is_no_field_is_passed_over(world: World, operation: str) -> None:
    path, body = world.path(operation), world.body(operation)
    plain, again = (done(world, operation, path, body) for _ in range(2))
    assert plain.status == OPERATIONS[operation].status, f"It needs a body in FITTING: {plain}"

    # What differs between two calls alike is an id, a time or a secret.
    expected, other = plain.columns(), again.columns()
    steady = [one for one in expected if expected[one] == other[one]]
    for flag in (True, False):
        forged = unknown_to(operation, columns(flag=flag))
        forging = done(world, operation, path, with_fields(body, forged))
        assert forging.status == plain.status, forging.answer
        assert forging.tables == plain.tables
        assert {one: forging.columns()[one] for one in steady} == {
            one: expected[one] for one in steady
        }
        told = forging.answer + repr(forging.left)
        assert [mark for mark in MARKS if mark in told] == []


@pytest.mark.parametrize("operation", sorted(set(WRITES) - LENIENT))
def test_what_is_no_field_of_ours_is_refused(world: World, operation: str) -> None:
    path, body = world.path(operation), world.body(operation)
    plain = done(world, operation, path, body)
    assert plain.status == OPERATIONS[operation].status, f"It needs a body in FITTING: {plain}"

    for name, value in unknown_to(operation, CLASSIC).items():
        refused = done(world, operation, path, with_fields(body, {name: value}))
        assert refused.status == 422, (name, refused.answer)
        assert [one["field"] for one in json.loads(refused.answer)["errors"]] == [name]
        assert refused.tables <= AUDIT_TABLES, name

    everything = unknown_to(operation, columns(flag=True))
    assert done(world, operation, path, with_fields(body, everything)).status == 422


def test_no_operation_that_is_gone_counts_as_lenient() -> None:
    assert LENIENT - set(WRITES) == set()
