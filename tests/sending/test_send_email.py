"""POST /v1/emails"""

from datetime import timedelta
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Account
from apikeys import actions as keys
from apikeys.models import ApiKey
from apikeys.tokens import Environment, mint
from auditlog.models import Entry
from queensmtp import hot
from queensmtp.api_document import document
from queensmtp.tenancy import tenant
from sending.models import IdempotentRequest, Message, Recipient
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

    assert response.status_code == 202, response.content
    assert "202" in document()["paths"]["/v1/emails"]["post"]["responses"]
    assert set(response.json()) == {"id"}
    with tenant(cast.hive.pk):
        message = Message.objects.get(pk=response.json()["id"])
        recipients = Recipient.objects.filter(message=message).order_by("address")
        assert message.sender == "Hive <hello@hive.example>"
        content = content_of(message)
        assert content is not None and content.html == "<p>Hi</p>"
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
        assert b"secret" not in bytes(Message.objects.get().content or b"")


def stored(cast: Cast) -> int:
    with tenant(cast.hive.pk):
        return Message.objects.count() + Recipient.objects.count()


def refusal(cast: Cast) -> Entry:
    """The one entry of the refused request."""
    with tenant(cast.hive.pk):
        return Entry.objects.get(event="email.submitted")


# --- Gate 2: the key -----------------------------------------------------------------------------


def test_refuses_without_a_key(client: Client, cast: Cast) -> None:
    response = post(client, None, BODY)

    assert response.status_code == 401
    assert response.json()["name"] == "missing_api_key"
    assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    "header", ["Basic abc", "Bearer ", "Bearer", "bearer qs_prod_short", "Bearer a b"]
)
def test_refuses_what_is_no_bearer_token(client: Client, cast: Cast, header: str) -> None:
    response = post(client, None, BODY, authorization=header)

    assert response.status_code == 401
    assert response.json()["statusCode"] == 401


def test_a_mistyped_key_touches_no_database(
    client: Client, cast: Cast, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(sql: str, params: Any) -> None:
        raise AssertionError(f"asked the database: {sql}")

    monkeypatch.setattr(hot, "fetch_one", asked)
    with CaptureQueriesContext(connection) as queries:
        for at in range(len(token)):
            typo = token[:at] + ("x" if token[at] != "x" else "y") + token[at + 1 :]
            assert post(client, typo, BODY).status_code == 401

    assert len(queries) == 0


def test_an_address_outside_the_allowlist_is_403_before_expiry_is_looked_at(
    client: Client, cast: Cast
) -> None:
    make_domain(cast.hive, "hive.example")
    key, token = make_key(cast.hive, allowed_cidrs=("203.0.113.0/24",))

    response = post(client, token, BODY)

    assert response.status_code == 403
    assert response.json()["name"] == "ip_not_allowed"
    assert "127.0.0.1" in response.json()["message"]
    assert stored(cast) == 0
    assert refusal(cast).outcome == "refused"
    assert refusal(cast).changes["reason"] == "ip_not_allowed"


@pytest.mark.parametrize("reason", ["revoked", "expired", "overlap_ended", "account_closed"])
def test_a_dead_key_is_401_and_only_the_owner_learns_why(
    client: Client, cast: Cast, reason: str
) -> None:
    make_domain(cast.hive, "hive.example")
    key, token = make_key(cast.hive)
    kill(cast, key, reason)

    response = post(client, token, BODY)

    assert response.status_code == 401
    assert without_id(response) == without_id(post(client, mint(Environment.PRODUCTION).text, BODY))
    assert stored(cast) == 0
    assert refusal(cast).changes["reason"] == reason


def without_id(response: Any) -> dict[str, Any]:
    return {name: value for name, value in response.json().items() if name != "request_id"}


def kill(cast: Cast, key: ApiKey, reason: str) -> None:
    by = cast.alice.actor
    with tenant(cast.hive.pk):
        if reason == "revoked":
            keys.revoke(by=by, key=key)
        elif reason == "expired":
            keys.update(by=by, key=key, changes={"expires_at": timezone.now()})
        elif reason == "overlap_ended":
            keys.rotate(by=by, key=key, overlap_seconds=0)
        else:
            Account.objects.update(status="closed")


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": ["email:send", "keys:write"]},
        {"allowed_cidrs": None},
        {"revoked_at": None},
        {"environment": "staging"},
    ],
)
def test_a_row_edited_in_the_database_is_dead(
    client: Client, cast: Cast, change: dict[str, Any]
) -> None:
    make_domain(cast.hive, "hive.example")
    key, token = make_key(cast.hive, scopes=("email:send",), allowed_cidrs=("127.0.0.1/32",))
    if "revoked_at" in change:
        kill(cast, key, "revoked")
    with tenant(cast.hive.pk):
        ApiKey.objects.filter(pk=key.pk).update(**change)

    assert post(client, token, BODY).status_code == 401
    assert refusal(cast).changes["reason"] == "row_was_tampered_with"


# --- Gate 3: scope, domain, recipients -----------------------------------------------------------


def test_refuses_a_key_without_the_scope(client: Client, cast: Cast) -> None:
    make_domain(cast.hive, "hive.example")
    _, token = make_key(cast.hive, scopes=("email:read",))

    response = post(client, token, BODY)

    assert response.status_code == 403
    assert response.json()["name"] == "insufficient_scope"
    assert "email:send" in response.json()["message"]
    assert stored(cast) == 0
    assert refusal(cast).changes["reason"] == "insufficient_scope"


def test_a_key_scoped_to_domains_sends_only_from_them(client: Client, cast: Cast) -> None:
    make_domain(cast.hive, "hive.example")
    make_domain(cast.hive, "other.example")
    _, token = make_key(cast.hive, domains=("other.example",))

    response = post(client, token, BODY)

    assert response.status_code == 403
    assert response.json()["name"] == "domain_not_allowed"
    assert "other.example" in response.json()["message"]
    assert post(client, token, BODY | {"from": "a@other.example"}).status_code == 202


def test_a_key_with_a_recipient_rule_writes_to_nobody_else(client: Client, cast: Cast) -> None:
    make_domain(cast.hive, "hive.example")
    _, token = make_key(cast.hive, allowed_recipients=("@hive.example", "ann@wasp.example"))

    refused = post(client, token, BODY | {"bcc": ["bea@wasp.example"]})

    assert refused.status_code == 403
    assert refused.json()["name"] == "recipient_not_allowed"
    assert post(client, token, BODY | {"cc": "x@hive.example"}).status_code == 202


@pytest.mark.parametrize("domain", ["hive.example", "nobody.example"])
def test_refuses_a_domain_that_is_not_verified(client: Client, cast: Cast, domain: str) -> None:
    make_domain(cast.hive, "hive.example", verified=False)
    _, token = make_key(cast.hive)

    response = post(client, token, BODY | {"from": f"a@{domain}"})

    assert response.status_code == 403
    assert response.json()["name"] == "validation_error"
    assert response.json()["errors"][0]["code"] == "domain_not_verified"
    assert stored(cast) == 0
    assert refusal(cast).changes["reason"] == "domain_not_verified"


def test_another_accounts_verified_domain_is_not_ours(client: Client, cast: Cast) -> None:
    make_domain(cast.wasp, "wasp.example")
    _, token = make_key(cast.hive)

    assert post(client, token, BODY | {"from": "a@wasp.example"}).status_code == 403


# --- Gate 4: idempotency, rate -------------------------------------------------------------------


def test_the_same_request_twice_is_one_email(client: Client, cast: Cast, token: str) -> None:
    first = post(client, token, BODY, idempotency_key="once")
    again = post(client, token, dict(reversed(BODY.items())), idempotency_key="once")

    assert again.json() == first.json()
    assert again["Idempotent-Replayed"] == "true"
    with tenant(cast.hive.pk):
        assert Message.objects.count() == 1


def test_another_request_under_the_same_key_is_409(client: Client, cast: Cast, token: str) -> None:
    post(client, token, BODY, idempotency_key="once")
    response = post(client, token, BODY | {"subject": "Other"}, idempotency_key="once")

    assert response.status_code == 409
    assert response.json()["name"] == "invalid_idempotent_request"


def test_a_refused_request_does_not_burn_its_key(client: Client, cast: Cast, token: str) -> None:
    assert post(client, token, BODY | {"to": "nobody"}, idempotency_key="x").status_code == 422
    assert post(client, token, BODY, idempotency_key="x").status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 257, "smile\U0001f600", "a\x00b"])
def test_refuses_a_bad_idempotency_key(client: Client, cast: Cast, token: str, key: str) -> None:
    response = post(client, token, BODY, idempotency_key=key)

    assert response.status_code == 400
    assert response.json()["name"] == "invalid_idempotency_key"


def test_an_expired_answer_is_forgotten(client: Client, cast: Cast, token: str) -> None:
    first = post(client, token, BODY, idempotency_key="once")
    with tenant(cast.hive.pk):
        IdempotentRequest.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    again = post(client, token, BODY, idempotency_key="once")

    assert again.json() != first.json()


def test_the_rate_limit_says_when_to_come_again(client: Client, cast: Cast) -> None:
    make_domain(cast.hive, "hive.example")
    _, token = make_key(cast.hive, rate_requests=2, rate_per_seconds=60)

    accepted = [post(client, token, BODY) for _ in range(2)]
    refused = post(client, token, BODY)

    assert [one.status_code for one in accepted] == [202, 202]
    assert accepted[0]["ratelimit-remaining"] == "1"
    assert refused.status_code == 429
    assert refused.json()["name"] == "rate_limit_exceeded"
    assert 1 <= int(refused["Retry-After"]) <= 60


def test_a_replay_costs_no_quota(client: Client, cast: Cast) -> None:
    make_domain(cast.hive, "hive.example")
    _, token = make_key(cast.hive, rate_requests=1, rate_per_seconds=60)

    codes = [post(client, token, BODY, idempotency_key="k").status_code for _ in range(3)]

    assert codes == [202, 202, 202]


# --- Gate 5: validation --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "field", "name"),
    [
        ({"from": None}, "from", "missing_required_field"),
        ({"to": ...}, "to", "missing_required_field"),
        ({"subject": ...}, "subject", "missing_required_field"),
        ({"text": ...}, "html", "missing_required_field"),
        ({"to": "nobody"}, "to", "validation_error"),
        ({"to": []}, "to", "validation_error"),
        ({"to": 5}, "to", "validation_error"),
        ({"to": ["a@wasp.example", None]}, "to[1]", "validation_error"),
        ({"to": ["a@wasp.example"] * 51}, "to", "validation_error"),
        ({"subject": "a\r\nBcc: x@y.example"}, "subject", "validation_error"),
        ({"subject": 7}, "subject", "validation_error"),
        ({"headers": {"X-A": "b\r\nBcc: x@y.example"}}, "headers.X-A", "validation_error"),
        ({"headers": {"Bcc": "x@y.example"}}, "headers.Bcc", "validation_error"),
        ({"headers": []}, "headers", "validation_error"),
        ({"from": "a@hive.example, b@evil.example"}, "from", "validation_error"),
        ({"tags": [{"name": "bad name"}]}, "tags[0]", "validation_error"),
        (
            {"attachments": [{"filename": "a", "content": "%%"}]},
            "attachments[0].content",
            "validation_error",
        ),
        ({"attachments": [{"path": "http://x"}]}, "attachments[0].path", "validation_error"),
    ],
)
def test_names_the_field_that_is_wrong(
    client: Client, cast: Cast, token: str, change: dict[str, Any], field: str, name: str
) -> None:
    body = {key: value for key, value in {**BODY, **change}.items() if value is not ...}

    response = post(client, token, body)

    assert response.status_code == 422, response.content
    assert response.json()["name"] == name
    assert field in [error["field"] for error in response.json()["errors"]]
    assert f"`{field}`" in response.json()["message"]
    assert stored(cast) == 0


def test_a_message_without_a_text_may_mend_it_in_two_ways(client: Client, token: str) -> None:
    refused = post(client, token, {name: BODY[name] for name in BODY if name != "text"}).json()
    assert refused["message"] == "Missing `html` or `text` field."


@pytest.mark.parametrize(
    "body",
    [b"{", b"[1, 2", b'{"from": NaN}', b'"\xff"', b'{"a": 1, "a": 2}', b"[" * 5000, b"null x"],
)
def test_broken_json_is_400(client: Client, cast: Cast, token: str, body: bytes) -> None:
    response = post(client, token, body)

    assert response.status_code == 400
    assert response.json()["name"] == "validation_error"
    assert stored(cast) == 0


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"7"])
def test_a_body_that_is_no_object_is_refused(
    client: Client, cast: Cast, token: str, body: bytes
) -> None:
    assert post(client, token, body).status_code == 422
    assert stored(cast) == 0


def test_a_body_over_the_limit_is_413(
    client: Client, cast: Cast, token: str, settings: Any
) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000
    response = post(client, token, BODY | {"text": "x" * 2_000})

    assert response.status_code == 413
    assert response.json()["statusCode"] == 413


def test_an_encoded_body_is_415(client: Client, cast: Cast, token: str) -> None:
    assert post(client, token, BODY, content_encoding="gzip").status_code == 415


def test_answers_problem_json_when_asked(client: Client, cast: Cast, token: str) -> None:
    response = post(client, token, {}, accept="application/problem+json")

    assert response["Content-Type"] == "application/problem+json"
    assert response.json()["status"] == 422


def test_the_request_id_is_ours_and_theirs_is_kept(client: Client, cast: Cast, token: str) -> None:
    response = post(client, token, BODY, x_request_id="their-own-7")

    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="email.submitted")
        assert response["X-Request-Id"] == entry.request_id != "their-own-7"
        assert entry.client_request_id == "their-own-7"


# --- Cost ----------------------------------------------------------------------------------------


def test_one_query_for_the_key_and_one_statement_for_the_rest(
    client: Client, cast: Cast, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    fetch_one = hot.fetch_one

    def watched(sql: str, params: Any) -> Any:
        seen.append(sql)
        return fetch_one(sql, params)

    monkeypatch.setattr(hot, "fetch_one", watched)
    with CaptureQueriesContext(connection) as others:
        post(client, token, BODY)

    assert len(seen) == 2
    assert len(others) == 0


def test_the_short_way_carries_the_security_headers_too(
    client: Client, cast: Cast, token: str
) -> None:
    response = post(client, token, BODY)

    assert response["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in response["Content-Security-Policy"]
