"""A key and other secrets are put everywhere a caller can put them, and found nowhere after (K15).

Nowhere is: the answers, the log as we configure it, Valkey, and every column of the database. The
contents of a message are its sender's own, and are stored as they are sent.
"""

import base64
import io
import json
import logging
import logging.config
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest
import redis
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import URLPattern

from apikeys import tasks
from apikeys.models import ApiKey
from apikeys.tokens import ID_LENGTH
from queensmtp import urls, valkey
from queensmtp.api_document import OPERATIONS
from queensmtp.tenancy import PLATFORM_ACCOUNT_ID, tenant
from sending import submission_port
from sending.mailrooms import Client as SmtpClient
from sending.mailrooms import Envelope
from tests.apikeys.test_wrong_secrets import a_minute_passes, guess_at
from tests.factories.cast import PASSWORD, Cast, make_domain
from tests.factories.keys import bearer, make_key
from tests.factories.webhooks import make_endpoint
from tests.roles import as_role
from webhooks import signing

# What a message is made of may hold anything; nothing else may.
MESSAGE_COLUMNS = {
    "sending_message": {
        *("content", "sender", "sender_address", "to", "cc", "bcc", "reply_to", "subject", "tags"),
        "message_id",
    },
    "sending_recipient": {"address", "domain"},
}

# Besides what the API document names.
QUERY_NAMES = ("api_key", "token", "unknown")
FIELDS = {"keys": ("account_id",), "leaked-keys": ("tokens", "source", "url")}
VALID: dict[str, dict[str, Any]] = {
    "keys": {"name": "New", "environment": "production", "scopes": ["email:send"]},
    "api-keys": {"name": "New"},
    "emails": {"from": "a@hive.example", "to": "b@wasp.example", "subject": "Hi", "text": "Hi"},
    "webhooks": {"endpoint": "https://hooks.example/in", "events": ["email.sent"]},
}


@dataclass
class Scene:
    """The secrets, whoever holds them, and everything that was answered."""

    cast: Cast
    key: ApiKey
    token: str
    secrets: tuple[str, ...]
    ids: dict[str, str]
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))
    answers: list[str] = field(default_factory=list)

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> int:
        data = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        response = self.client.generic(
            method,
            path,
            data=data,
            content_type="application/json",
            headers={"authorization": f"Bearer {self.token}", **(headers or {})},
        )
        text = b"".join(response).decode()
        is_mail_read_back = path.startswith("/v1/emails") and response.status_code == 200
        self.answers.append("" if is_mail_read_back else f"{response.headers}\n{text}")
        return response.status_code


@pytest.fixture
def scene(cast: Cast, settings: Any) -> Scene:
    settings.FAILED_AUTHENTICATIONS_PER_MINUTE = 1_000_000
    make_domain(cast.hive, "hive.example")
    key, token = make_key(cast.hive, rate_requests=100_000, rate_per_seconds=1)
    stranger, _ = make_key(cast.wasp)
    endpoint = make_endpoint(cast.hive, "https://hooks.example/in")
    return Scene(
        cast,
        key,
        token,
        secrets=(token, guess_at(stranger), signing.new_secret(), f"{PASSWORD} of nobody"),
        ids={"key_id": str(make_key(cast.hive)[0].pk), "webhook_id": str(endpoint.pk)},
    )


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What our own configuration of logging writes."""
    ours: dict[str, Any] = settings.LOGGING
    configuration = logging.config.DictConfigurator(ours)
    handler = logging.StreamHandler(written := io.StringIO())
    handler.setFormatter(configuration.configure_formatter(dict(ours["formatters"]["plain"])))
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield written
    root.setLevel(before)
    root.removeHandler(handler)


def endpoints(patterns: list[Any]) -> list[str]:
    """The routes of the API, as Django matches them."""
    return [str(one.pattern) for one in patterns if isinstance(one, URLPattern)]


def put_into_http(scene: Scene, secret: str) -> None:
    for route in endpoints(urls.api_urlpatterns):
        put_into_endpoint(scene, route, secret)
    quoted = f"/v1/{secret}"
    scene.call("GET", quoted)
    scene.call("GET", f"/{secret}?{secret}={secret}")
    for scheme in ("Basic", "Bearer", "Token", "bearer  "):
        scene.call("GET", "/v1/keys", headers={"authorization": f"{scheme} {secret}"})
    basic = base64.b64encode(f"api:{secret}".encode()).decode()
    scene.call("GET", "/v1/keys", headers={"authorization": f"Basic {basic}"})
    scene.call("GET", "/v1/keys", headers={"authorization": f"Bearer {secret}, Bearer {secret}"})
    for name in ("user-agent", "x-request-id", "referer", "cookie", "accept", "origin", "host"):
        scene.call("GET", "/v1/keys", headers={name: secret})
        scene.call("POST", "/v1/emails", VALID["emails"], headers={name: secret})
    scene.call("GET", "/v1/keys", headers={"user-agent": "x" * 200 + secret})
    for name in ("idempotency-key", "content-encoding", "x-forwarded-for", "x-batch-validation"):
        scene.call("POST", "/v1/emails", VALID["emails"], headers={name: secret})


def query_names() -> set[str]:
    told = (operation.query for operation in OPERATIONS.values())
    return {name for names in told for name in names}.union(QUERY_NAMES)


def fields_of(resource: str) -> list[str]:
    """The body fields of every operation of a resource, as the API document gives them."""
    found = set(FIELDS.get(resource, ()))
    for name, operation in OPERATIONS.items():
        bodies = operation.body if isinstance(operation.body, list) else [operation.body]
        if name.partition(" /v1/")[2].partition("/")[0] == resource:
            found |= {field for body in bodies if isinstance(body, dict) for field in body}
    return sorted(found)


def put_into_endpoint(scene: Scene, route: str, secret: str) -> None:
    resource = route.partition("/")[0]
    fields = [{**VALID.get(resource, {}), name: secret} for name in fields_of(resource)]
    nested: list[Any] = [
        {**VALID.get(resource, {}), name: value}
        for name in fields_of(resource)
        for value in ([secret], {secret: secret}, [{"name": secret, "value": secret}])
    ]
    bodies = [*fields, *nested, {secret: secret}, [secret], secret]
    for method in ("GET", "PUT", "OPTIONS", "POST", "PATCH"):
        scene.call(method, f"/v1/{_filled(route, {}, otherwise=secret)}", {"x": secret})
    path = f"/v1/{_filled(route, scene.ids)}"
    if scene.call("GET", path, {"x": secret}) != 405:
        for name in query_names():
            scene.call("GET", f"{path}?{name}={secret}")
    for method in ("POST", "PATCH"):
        if scene.call(method, path, raw=b'{"name": "' + secret.encode()) == 405:
            continue
        scene.call(method, path, raw=b'{"a": 1, "a": "' + secret.encode() + b'"}')
        for body in bodies:
            # The canary itself must live to the end.
            if not (resource == "leaked-keys" and scene.token in json.dumps(body)):
                scene.call(method, path, body)


def _filled(route: str, ids: dict[str, str], otherwise: str = "x") -> str:
    parts = []
    for part in route.split("/"):
        name = part.strip("<>").partition(":")[2]
        parts.append(ids.get(name, otherwise) if part.startswith("<") else part)
    return "/".join(parts)


def put_into_smtp(scene: Scene, secret: str) -> None:
    for user, password, helo in (
        (secret, "x", "there"),
        ("resend", secret, "there"),
        ("resend", scene.token, secret),
    ):
        client = SmtpClient("127.0.0.1", helo=helo)
        scene.answers.append(repr(submission_port.log_in(user, password, client)))
    known = SmtpClient("127.0.0.1", helo=secret, login=submission_port.Login(scene.token))
    mail = f"From: a@hive.example\r\nSubject: {secret}\r\nX-Tags: {secret}\r\n\r\n{secret}\r\n"
    for sender, recipient in (
        ("a@hive.example", "b@wasp.example"),
        (f"{secret}@hive.example", "b@wasp.example"),
        (secret, secret),
        (f"a@{secret}.example", f"b@{secret}.example"),
    ):
        envelope = Envelope(sender, False, [recipient])
        scene.answers.append(str(submission_port.refuse_sender(envelope, known)))
        scene.answers.append(str(submission_port.refuse_recipient(recipient)))
        if "@" in recipient and secret not in sender + recipient:
            scene.answers.append(submission_port.take(envelope, mail.encode(), known))


def put_into_sign_in(scene: Scene, secret: str) -> None:
    for login, password in ((secret, "x"), ("alice@alice.example", secret), (secret, secret)):
        response = scene.client.post(
            "/accounts/login/", {"login": login, "password": password}, secure=True
        )
        # The page shows the name that was typed to whoever typed it, for them to correct.
        shown = response.content.decode() if login != secret else ""
        scene.answers.append(shown)


def test_every_field_of_the_api_document_is_tried() -> None:
    assert {"decoy", "rotate_every_seconds", "learning_until"} <= set(fields_of("keys"))
    assert {"from", "attachments", "scheduled_at"} <= set(fields_of("emails"))
    assert {"event", "key_id"} <= query_names()


def test_no_secret_is_found_anywhere_but_in_messages(scene: Scene, log: io.StringIO) -> None:
    for secret in scene.secrets:
        if " " not in secret:
            put_into_http(scene, secret)
            put_into_smtp(scene, secret)
        put_into_sign_in(scene, secret)
    a_minute_passes(scene.cast.hive.pk, scene.cast.wasp.pk, PLATFORM_ACCOUNT_ID)
    with as_role("worker"):
        tasks.record_wrong_secrets()

    needles = [needle for secret in scene.secrets for needle in needles_of(secret)]
    assert scene.call("GET", "/v1/keys") == 200, "the canary died on the way"
    assert len(scene.answers) > 500
    assert found_in("\n".join(scene.answers), needles) == []
    assert found_in(log.getvalue(), needles) == []
    assert found_in(everything_in_valkey(), needles) == []
    assert {place: hits for place, hits in places_in_database(needles) if hits} == {}
    assert entries_tell_what_was_tried(scene.cast.hive.pk)


def needles_of(secret: str) -> list[str]:
    """Enough of a secret to recognise it by, in the spellings that a column may have."""
    part = secret
    if secret.startswith("qs_"):
        start = secret.rindex("_") + 1 + ID_LENGTH
        part = secret[start : start + 16]
    shown = part.encode()
    return [part, shown.hex(), base64.b64encode(shown)[:-4].decode()]


def found_in(text: str, needles: list[str]) -> list[str]:
    return [text[max(0, text.index(one) - 80) :][:200] for one in needles if one in text]


def everything_in_valkey() -> str:
    client: redis.Redis = valkey.client()
    readers: dict[bytes, Callable[[Any], Any]] = {
        b"string": client.get,
        b"hash": client.hgetall,
        b"list": lambda name: client.lrange(name, 0, -1),
        b"set": client.smembers,
        b"zset": lambda name: client.zrange(name, 0, -1),
    }
    texts = []
    for name in client.scan_iter(count=1_000):
        kind: Any = client.type(name)
        read = readers.get(kind)
        texts.append(f"{name!r} {read(name) if read else ''!r}")
    return "\n".join(texts)


def places_in_database(needles: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Every column of every table, read by the superuser that the tests connect as."""
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE NONE")
        try:
            cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
            assert cursor.fetchone() == (True,)
            cursor.execute(
                """
                SELECT c.relname::text, a.attname::text FROM pg_class c
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
                  AND NOT c.relispartition
                """
            )
            for table, column in cursor.fetchall():
                if column not in MESSAGE_COLUMNS.get(table, ()):
                    cursor.execute(f'SELECT "{column}"::text FROM "{table}"')
                    text = "\n".join(str(value) for (value,) in cursor.fetchall())
                    yield f"{table}.{column}", found_in(text, needles)
        finally:
            cursor.execute("SET ROLE app")


def entries_tell_what_was_tried(account_id: UUID) -> bool:
    """The test would pass if nothing were recorded at all."""
    with tenant(account_id), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM auditlog_entry WHERE outcome = 'refused'")
        return bool(cursor.fetchone()[0] > 300)


def test_the_search_finds_what_is_there(scene: Scene) -> None:
    """A needle that is stored on purpose, in text, in JSON and in bytes."""
    with tenant(scene.cast.hive.pk):
        ApiKey.objects.filter(pk=scene.key.pk).update(
            notes=scene.token, labels={"x": scene.token}, mac=scene.token.encode()[20:52]
        )
    found = {place for place, hits in places_in_database(needles_of(scene.token)) if hits}
    assert found == {"apikeys_apikey.notes", "apikeys_apikey.labels", "apikeys_apikey.mac"}


def test_a_secret_in_a_field_is_refused_and_not_repeated(client: Client, cast: Cast) -> None:
    _, token = make_key(cast.hive)
    for body in ({**VALID["keys"], "notes": f"is {token}"}, {**VALID["keys"], token: 1}):
        response = client.post(
            "/v1/keys", body, content_type="application/json", headers=bearer(token)
        )
        assert response.status_code == 422
        assert "holds an API key" in response.json()["message"]
        assert token not in response.content.decode()
