"""The official Node client, as it is installed: only its URL and key are set."""

from collections.abc import Callable
from typing import Any

from queensmtp.tenancy import tenant
from sending.models import Message
from sending.serializers import content_of
from tests.factories.cast import Cast


def test_does_all_that_it_does_with_emails(
    hive: Cast, api_url: str, token: str, run_node: Callable[..., Any]
) -> None:
    found = run_node("resend.mjs", API_URL=api_url, API_KEY=token)

    email_id = found["sent"]["data"]["id"]
    with tenant(hive.hive.pk):
        message = Message.objects.get(pk=email_id)
        content = content_of(message)
    assert content is not None
    assert (message.tags, message.reply_to) == (
        [{"name": "kind", "value": "order"}],
        ["desk@hive.example"],
    )
    assert [one.data for one in content.attachments] == [b"from a buffer", b"\x89PNG"]

    assert found["got"]["data"]["html"] == "<b>Hi</b>"
    assert found["got"]["data"]["last_event"] == "queued"
    assert [one["id"] for one in found["listed"]["data"]["data"]] == [email_id]
    assert [one["filename"] for one in found["attachments"]["data"]["data"]] == [
        "a.txt",
        "logo.png",
    ]
    assert found["attachment"]["data"]["content_type"] == "text/plain"

    first, second = found["once"]
    assert first["data"]["id"] == second["data"]["id"]
    assert error_of(found["other"]) == (409, "invalid_idempotent_request")

    assert len(found["batch"]["data"]["data"]) == 2
    assert "errors" not in found["batch"]["data"]
    assert len(found["permissive"]["data"]["data"]) == 1
    assert found["permissive"]["data"]["errors"][0]["index"] == 1
    assert error_of(found["strict"]) == (422, "validation_error")

    for name in ("moved", "canceled"):
        assert found[name]["data"] == {"object": "email", "id": found["scheduled"]["data"]["id"]}
    assert found["after"]["data"]["last_event"] == "canceled"

    assert error_of(found["missing"]) == (422, "missing_required_field")
    assert error_of(found["unknown"]) == (404, "not_found")
    assert error_of(found["stranger"]) == (401, "invalid_api_key")


def error_of(answer: Any) -> tuple[int, str]:
    assert answer["data"] is None
    return answer["error"]["statusCode"], answer["error"]["name"]
