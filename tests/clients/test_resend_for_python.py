"""The official Python client, as it is installed: only its URL and key are set."""

from typing import Any

import pytest
import resend
from resend.exceptions import (
    InvalidApiKeyError,
    MissingApiKeyError,
    MissingRequiredFieldsError,
    RateLimitError,
    ResendError,
    ValidationError,
)

from queensmtp.tenancy import tenant
from sending.models import Message
from sending.serializers import content_of
from tests.clients.conftest import FROM
from tests.factories.cast import Cast
from tests.factories.keys import make_key

# The client's types say less than the client takes.
emails: Any = resend.Emails
batch: Any = resend.Batch
MAIL: Any = {"from": FROM, "to": ["ann@wasp.example"], "subject": "Hello", "html": "<b>Hi</b>"}


@pytest.fixture(autouse=True)
def client(api_url: str, token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resend, "api_url", api_url)
    monkeypatch.setattr(resend, "api_key", token)


def stored(cast: Cast, email_id: str) -> Message:
    with tenant(cast.hive.pk):
        return Message.objects.get(pk=email_id)


def test_sends_and_reads_back(hive: Cast) -> None:
    sent = emails.send(
        {
            **MAIL,
            "cc": "bea@wasp.example",
            "reply_to": ["desk@hive.example"],
            "text": "Hi",
            "headers": {"X-Order": "17"},
            "tags": [{"name": "kind", "value": "order"}],
            "attachments": [
                {"filename": "a.txt", "content": list(b"from a list of bytes")},
                {"filename": "logo.png", "content": "iVBO\nRw==", "content_id": "logo"},
            ],
        }
    )
    found = emails.get(sent["id"])

    assert found["from"] == FROM
    assert (found["to"], found["cc"]) == (["ann@wasp.example"], ["bea@wasp.example"])
    assert (found["html"], found["text"]) == ("<b>Hi</b>", "Hi")
    assert found["last_event"] == "queued"
    message = stored(hive, sent["id"])
    with tenant(hive.hive.pk):
        content = content_of(message)
    assert content is not None
    assert content.headers == (("X-Order", "17"),)
    assert [one.data for one in content.attachments] == [b"from a list of bytes", b"\x89PNG"]
    assert message.tags == [{"name": "kind", "value": "order"}]


def test_the_same_idempotency_key_sends_once(hive: Cast) -> None:
    first, second = (emails.send(MAIL, {"idempotency_key": "order-17"}) for _ in range(2))
    assert first["id"] == second["id"]
    with pytest.raises(ResendError) as refused:
        emails.send({**MAIL, "subject": "Other"}, {"idempotency_key": "order-17"})
    assert (refused.value.code, refused.value.error_type) == (409, "invalid_idempotent_request")


def test_sends_a_batch(hive: Cast) -> None:
    sent = batch.send([MAIL, {**MAIL, "subject": "Second"}])
    assert [stored(hive, one["id"]).subject for one in sent["data"]] == ["Hello", "Second"]
    assert "errors" not in sent

    options: Any = {"batch_validation": "permissive"}
    sent = batch.send([MAIL, {**MAIL, "to": "nobody"}], options)
    assert len(sent["data"]) == 1
    assert [one["index"] for one in sent["errors"]] == [1]


def test_schedules_moves_and_cancels(hive: Cast) -> None:
    sent = emails.send({**MAIL, "scheduled_at": "in 1 min"})
    assert emails.get(sent["id"])["last_event"] == "scheduled"

    moved = emails.update({"id": sent["id"], "scheduled_at": "tomorrow at 9am"})
    assert moved["id"] == sent["id"]

    assert emails.cancel(sent["id"])["id"] == sent["id"]
    assert emails.get(sent["id"])["last_event"] == "canceled"


def test_lists_with_cursors(hive: Cast) -> None:
    ids = [emails.send(MAIL)["id"] for _ in range(3)][::-1]
    first = emails.list({"limit": 2})
    assert ([one["id"] for one in first["data"]], first["has_more"]) == (ids[:2], True)
    rest = emails.list({"after": ids[1]})
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == (ids[2:], False)


def test_lists_attachments_and_gets_one(hive: Cast) -> None:
    files = [{"filename": "a.txt", "content": "aGk="}, {"filename": "b.txt", "content": "aG8="}]
    sent = emails.send({**MAIL, "attachments": files})
    listed = emails.Attachments.list(sent["id"])
    assert [one["filename"] for one in listed["data"]] == ["a.txt", "b.txt"]
    one = emails.Attachments.get(sent["id"], listed["data"][1]["id"])
    assert (one["filename"], one["size"]) == ("b.txt", 2)


def test_errors_come_as_its_own_exceptions(hive: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MissingRequiredFieldsError, match="`subject`"):
        emails.send({name: MAIL[name] for name in ("from", "to", "html")})
    with pytest.raises(ValidationError, match="`to`"):
        emails.send({**MAIL, "to": "nobody"})
    with pytest.raises(ResendError) as refused:
        emails.send({**MAIL, "from": "a@evil.example"})
    assert (refused.value.code, refused.value.error_type) == (403, "validation_error")
    with pytest.raises(ResendError) as missing:
        emails.get("01a20033-91d9-76f4-a228-305a4756aa65")
    assert (missing.value.code, missing.value.message) == (404, "Email not found")


def test_a_quota_that_is_used_up_comes_as_its_own_error(
    hive: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resend, "api_key", make_key(hive.hive, daily_quota=1)[1])
    emails.send(MAIL)

    with pytest.raises(RateLimitError) as refused:
        emails.send(MAIL)

    assert (refused.value.code, refused.value.error_type) == (429, "daily_quota_exceeded")
    assert int(refused.value.headers["Retry-After"]) > 0


def test_reads_what_is_used(hive: Cast) -> None:
    emails.send(MAIL)
    used: Any = resend.Usage.get()
    assert (used["emails"]["monthly"]["used"], used["emails"]["daily"]["limit"]) == (1, None)


def test_a_bad_key_is_told_from_none(hive: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resend, "api_key", "re_123")
    with pytest.raises(ResendError) as refused:
        emails.send(MAIL)
    assert (refused.value.code, refused.value.error_type) == (401, "invalid_api_key")
    assert not isinstance(refused.value, InvalidApiKeyError)
    monkeypatch.setattr(resend, "api_key", "")
    with pytest.raises((MissingApiKeyError, ResendError)) as missing:
        emails.send(MAIL)
    assert missing.value.error_type == "missing_api_key"


def test_a_key_without_the_scope_is_told(hive: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resend, "api_key", make_key(hive.hive, scopes=("email:send",))[1])
    with pytest.raises(ResendError) as refused:
        emails.list()
    assert (refused.value.code, refused.value.error_type) == (403, "insufficient_scope")


def test_a_base_url_with_a_slash_works_too(
    hive: Cast, api_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resend, "api_url", f"{api_url}/")
    assert emails.send(MAIL)["id"]


def test_adds_reads_changes_verifies_and_removes_a_domain(hive: Cast) -> None:
    domains: Any = resend.Domains
    created = domains.create({"name": "News.hive.example", "custom_return_path": "out"})
    assert (created["name"], created["status"]) == ("news.hive.example", "not_started")
    assert {one["record"] for one in created["records"]} == {"Verification", "DKIM", "SPF"}
    assert domains.get(created["id"])["object"] == "domain"
    assert created["id"] in [one["id"] for one in domains.list()["data"]]
    changed = domains.update({"id": created["id"], "click_tracking": True, "tls": "enforced"})
    assert changed["id"] == created["id"]
    assert domains.get(created["id"])["click_tracking"] is True
    assert domains.verify(created["id"])["object"] == "domain"
    assert domains.remove(created["id"])["deleted"] is True
    with pytest.raises(ResendError) as refused:
        domains.get(created["id"])
    assert refused.value.code == 404
