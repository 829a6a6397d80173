"""From a key that was found somewhere to what it did, without keeping the key."""

import logging

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from apikeys import tokens
from apikeys.tokens import Environment
from apikeys.views import tracing
from auditlog.models import Entry
from queensmtp import valkey
from queensmtp.tenancy import tenant
from tests.console import post, sign_in, text
from tests.factories.cast import Cast
from tests.factories.keys import bearer, make_key

TRACE = "/console/keys/trace"


@pytest.fixture
def alice(cast: Cast) -> Client:
    return sign_in(cast.alice.user)


@pytest.mark.parametrize("form", ["token", "bearer", "padded", "prefix", "masked", "public", "row"])
def test_a_key_or_its_id_leads_to_its_log(alice: Client, cast: Cast, form: str) -> None:
    key, token = make_key(cast.hive)
    pasted = {
        "token": token,
        "bearer": f"Bearer {token}",
        "padded": f"  {token}\n",
        "prefix": key.prefix,
        "masked": key.masked,
        "public": key.public_id,
        "row": str(key.pk),
    }[form]
    Client().get("/v1/keys", headers=bearer(token), secure=True)
    answer = post(alice, TRACE, {"key": pasted})
    assert answer.headers["Location"] == f"/console/audit-log?key_id={key.pk}&reads=true"
    assert "listed API keys" in text(alice.get(answer.headers["Location"], secure=True))  # type: ignore[arg-type]


def test_the_secret_is_kept_nowhere(
    alice: Client, cast: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key, token = make_key(cast.hive)
    _, foreign = make_key(cast.charlie.account)
    mistyped = token[:-1] + ("0" if token[-1] != "0" else "1")
    secrets = [one.removeprefix(one[:20])[:30] for one in (token, foreign, mistyped)]
    pages = [post(alice, TRACE, {"key": pasted}) for pasted in (token, foreign, mistyped)]
    for page in pages:
        for secret in secrets:
            assert secret not in text(page) + str(page.headers)
    with tenant(cast.hive.pk):
        stored = str(list(Entry.objects.values()))
    stored += str([one.get_decoded() for one in Session.objects.all()]) + caplog.text
    client = valkey.client()
    stored += str([client.get(one) for one in client.keys("*") if client.type(one) == b"string"])
    assert not [secret for secret in secrets if secret in stored]


def test_charlies_key_is_not_found(alice: Client, cast: Cast) -> None:
    key, token = make_key(cast.charlie.account)
    nobodys = tokens.mint(Environment.PRODUCTION).text
    answers = [text(post(alice, TRACE, {"key": one})) for one in (token, str(key.pk), nobodys)]
    for answer in answers:
        assert "No key of this account has this id" in answer
        assert key.name not in answer


def test_a_forged_secret_behind_a_true_id_is_told_apart(alice: Client, cast: Cast) -> None:
    key, _ = make_key(cast.hive)
    secret = "".join(reversed(tokens.mint(Environment.PRODUCTION).text[20:56]))
    body = f"qs_prod_{key.public_id}{secret}"
    answer = post(alice, TRACE, {"key": body + tokens.checksum(body)})
    assert "somebody knew the id" in text(alice.get(answer.headers["Location"], secure=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("pasted", ["", "hello", "qs_prod_", "re_123456789", "x" * 300])
def test_what_is_no_key_is_refused_with_advice(alice: Client, pasted: str) -> None:
    page = text(post(alice, TRACE, {"key": pasted}))
    assert 'role="alert"' in page
    assert "qs_prod_" in page


def test_no_step_up_keeps_the_form_in_the_session(cast: Cast) -> None:
    """A form that waits for a confirmation is kept by the session: here it would be the secret."""
    assert not hasattr(tracing.key_trace, "steps_up")
