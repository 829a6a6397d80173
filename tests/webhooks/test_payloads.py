import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from queensmtp.ids import new_id
from webhooks.payloads import EVENT_TYPES, WebhookEvent, body_of

AT = datetime(2026, 11, 21, 22, 15, 0, 5000, tzinfo=UTC)


def event(type: str = "email.delivered", **data: Any) -> WebhookEvent:
    return WebhookEvent(id=new_id(), type=type, created_at=AT, data=data)


def test_the_body_has_type_time_and_data() -> None:
    body = json.loads(body_of(event(email_id="e1", to=["a@b.example"], subject="Grüße")))

    assert body == {
        "type": "email.delivered",
        "created_at": "2026-11-21T22:15:00.005000+00:00",
        "data": {"email_id": "e1", "to": ["a@b.example"], "subject": "Grüße"},
    }
    assert datetime.fromisoformat(body["created_at"]) == AT


def test_the_same_event_gives_the_same_bytes() -> None:
    one = event(email_id="e1", tags={"a": "b"})
    assert body_of(one) == body_of(one)


def test_the_offset_of_the_time_is_kept() -> None:
    at = AT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    one = WebhookEvent(id=new_id(), type="email.sent", created_at=at, data={})
    assert datetime.fromisoformat(json.loads(body_of(one))["created_at"]) == AT


@pytest.mark.parametrize("field", ["headers", "bounce", "click", "failed", "suppressed"])
@pytest.mark.parametrize("empty", [None, [], {}])
def test_fields_that_crash_receivers_when_empty_are_left_out(field: str, empty: Any) -> None:
    assert json.loads(body_of(event(**{field: empty})))["data"] == {}


def test_other_empty_fields_stay() -> None:
    assert json.loads(body_of(event(tags={}, subject="")))["data"] == {"tags": {}, "subject": ""}


def test_headers_are_a_list_of_names_and_values() -> None:
    headers = [{"name": "X-Tags", "value": '["a"]'}]
    assert json.loads(body_of(event(headers=headers)))["data"]["headers"] == headers
    with pytest.raises(ValueError, match="`headers` is a list"):
        body_of(event(headers={"X-Tags": "a"}))


def test_an_event_outside_the_catalogue_cannot_be_made() -> None:
    with pytest.raises(ValueError, match=r"'email\.telepathy' is not in the catalogue"):
        event("email.telepathy")


def test_a_time_without_an_offset_cannot_be_sent() -> None:
    with pytest.raises(ValueError, match="offset"):
        WebhookEvent(id=new_id(), type="email.sent", created_at=AT.replace(tzinfo=None), data={})


def test_the_catalogue_names_each_type_once_as_subject_and_past_tense() -> None:
    assert len(set(EVENT_TYPES)) == len(EVENT_TYPES)
    assert all("." in name and name == name.lower() for name in EVENT_TYPES)
