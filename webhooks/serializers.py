"""Wire shapes of webhooks (wire contract 6). Unknown fields are ignored on this surface."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from django.utils.dateparse import parse_datetime

from queensmtp.errors import (
    FieldError,
    MalformedRequest,
    MissingField,
    ValidationFailed,
    refuse_field,
)
from webhooks.listening import Fetched
from webhooks.models import Attempt, Delivery, Endpoint, EndpointStatus
from webhooks.payloads import EVENT_TYPES

STATUSES = ("pending", "attempting", "success", "failed")


@dataclass(frozen=True)
class Changes:
    """What a request sets; None stays as it is."""

    endpoint: str | None = None
    events: tuple[str, ...] | None = None
    status: str | None = None
    is_ordered: bool | None = None


@dataclass(frozen=True)
class Creation:
    """What a new endpoint is made of."""

    endpoint: str
    events: tuple[str, ...]
    is_ordered: bool


def read_create(data: Any) -> Creation:
    body = _object(data)
    for name in ("endpoint", "events"):
        if body.get(name) is None:
            missing = FieldError(name, "required", "This field is required.")
            raise MissingField(f"Missing `{name}` field.", errors=[missing])
    return Creation(
        endpoint=_read_url(body["endpoint"]),
        events=_read_events(body["events"]),
        is_ordered=_read_ordered(body.get("ordered", False)),
    )


def read_update(data: Any) -> Changes:
    body = _object(data)
    return Changes(
        endpoint=_read_url(body["endpoint"]) if "endpoint" in body else None,
        events=_read_events(body["events"]) if "events" in body else None,
        status=_read_status(body["status"]) if "status" in body else None,
        is_ordered=_read_ordered(body["ordered"]) if "ordered" in body else None,
    )


def read_events(data: Any) -> tuple[str, ...]:
    """What a listener wants to hear of: everything, when it does not say."""
    body = _object(data)
    _refuse_unknown(body, {"events"})
    return _read_events(body["events"]) if body.get("events") is not None else EVENT_TYPES


def read_since(data: Any) -> datetime:
    body = _object(data)
    _refuse_unknown(body, {"since"})
    value = body.get("since")
    try:
        since = parse_datetime(value) if isinstance(value, str) else None
    except ValueError:
        since = None
    if since is None or since.tzinfo is None:
        raise refuse_field("since", "invalid_time", "give an ISO 8601 time with its offset.")
    return since


def read_type(data: Any) -> str:
    body = _object(data)
    _refuse_unknown(body, {"type"})
    if body.get("type") not in EVENT_TYPES:
        raise refuse_field(
            "type", "unknown_event", f"choose from these event types: {', '.join(EVENT_TYPES)}."
        )
    return str(body["type"])


def read_status_filter(value: str | None) -> str | None:
    if value is not None and value not in STATUSES:
        raise refuse_field("status", "unknown", f"choose one of {', '.join(STATUSES)}.")
    return value


def listed(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": str(endpoint.pk),
        "endpoint": endpoint.shown_url,
        "created_at": endpoint.created_at.isoformat(),
        "status": endpoint.status,
        "events": endpoint.events,
        "ordered": endpoint.is_ordered,
    }


def event_listed(row: Delivery) -> dict[str, Any]:
    return {
        "id": str(row.event_id),
        "type": row.event_type,
        "created_at": orjson.loads(bytes(row.body))["created_at"],
        "status": row.status,
    }


def event_single(row: Delivery) -> dict[str, Any]:
    return {
        "object": "webhook_event",
        **event_listed(row),
        "next_attempt_at": row.next_attempt_at.isoformat() if row.next_attempt_at else None,
        "payload": orjson.loads(bytes(row.body)),
    }


def attempt(row: Attempt) -> dict[str, Any]:
    """`http_status_code` is null when no answer came; `reason` then says what did."""
    return {
        "id": str(row.pk),
        "http_status_code": row.status,
        "response": row.response,
        "sent_at": row.sent_at.isoformat(),
        "reason": row.reason or None,
        "latency_ms": row.latency_milliseconds,
    }


def fetched(one: Fetched) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "type": one.type,
        "headers": one.headers,
        # The text whose bytes are signed.
        "body": one.body.decode(),
    }


def single(endpoint: Endpoint, *, signing_secret: str | None) -> dict[str, Any]:
    """`signing_secret` is null for whoever may not see it."""
    return {"object": "webhook", **listed(endpoint), "signing_secret": signing_secret}


def brief(endpoint: Endpoint, **more: Any) -> dict[str, Any]:
    return {"object": "webhook", "id": str(endpoint.pk), **more}


def _object(data: Any) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise MalformedRequest("The request body must be a JSON object.")
    return data


def _read_url(value: Any) -> str:
    if not isinstance(value, str):
        raise refuse_field("endpoint", "invalid_type", "give a URL as a string.")
    return value


def _read_events(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise refuse_field("events", "invalid_type", "give a list of at least one event type.")
    for index, name in enumerate(value):
        if name not in EVENT_TYPES:
            known = ", ".join(EVENT_TYPES)
            raise refuse_field(
                f"events[{index}]", "unknown_event", f"choose from these event types: {known}."
            )
    return tuple(value)


def _read_status(value: Any) -> str:
    if value not in EndpointStatus.values:
        raise refuse_field("status", "unknown", "choose `enabled` or `disabled`.")
    return str(value)


def _read_ordered(value: Any) -> bool:
    if not isinstance(value, bool):
        raise refuse_field("ordered", "invalid_type", "give true or false.")
    return value


def _refuse_unknown(body: Mapping[str, Any], known: set[str]) -> None:
    unknown = [name for name in body if name not in known]
    if unknown:
        errors = [FieldError(name[:100], "unknown", "there is no such field.") for name in unknown]
        raise ValidationFailed(f"Unknown: {', '.join(unknown)[:200]}.", errors=errors[:20])
