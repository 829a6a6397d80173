"""Wire shapes of webhooks (wire contract 6). Unknown fields are ignored on this surface."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from queensmtp.errors import FieldError, MalformedRequest, MissingField, refuse_field
from webhooks.models import Endpoint, EndpointStatus
from webhooks.payloads import EVENT_TYPES


@dataclass(frozen=True)
class Changes:
    """What a request sets; None stays as it is."""

    endpoint: str | None = None
    events: tuple[str, ...] | None = None
    status: str | None = None


def read_create(data: Any) -> tuple[str, tuple[str, ...]]:
    """The URL and the event types of a new endpoint."""
    body = _object(data)
    for name in ("endpoint", "events"):
        if body.get(name) is None:
            missing = FieldError(name, "required", "This field is required.")
            raise MissingField(f"Missing `{name}` field.", errors=[missing])
    return _read_url(body["endpoint"]), _read_events(body["events"])


def read_update(data: Any) -> Changes:
    body = _object(data)
    return Changes(
        endpoint=_read_url(body["endpoint"]) if "endpoint" in body else None,
        events=_read_events(body["events"]) if "events" in body else None,
        status=_read_status(body["status"]) if "status" in body else None,
    )


def listed(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": str(endpoint.pk),
        "endpoint": endpoint.shown_url,
        "created_at": endpoint.created_at.isoformat(),
        "status": endpoint.status,
        "events": endpoint.events,
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
