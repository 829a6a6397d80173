from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework.response import Response

from apikeys import actions, rights, serializers, usage
from apikeys.audit import Event
from apikeys.models import ApiKey, KeyStatus
from apikeys.rights import Reading
from apikeys.tokens import Environment
from queensmtp import pagination
from queensmtp.api import ApiView
from queensmtp.errors import FieldError, MalformedRequest, ValidationFailed, refuse_field
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope

SETTABLE = {
    "name",
    "scopes",
    "domains",
    "allowed_cidrs",
    "allowed_recipients",
    "expires_at",
    "rotate_every_seconds",
    "rate_limit",
    "daily_quota",
    "labels",
    "notes",
    "allow_wide_cidrs",
    "learning_until",
}
# Columns that a PATCH sets by their own names.
AS_THEY_ARE = (
    "scopes",
    "domains",
    "allowed_cidrs",
    "learning_until",
    "allowed_recipients",
    "expires_at",
    "daily_quota",
)
FILTERS = {"limit", "after", "before", "environment", "status", "label"}
# Enough to mend a request by; one for each would make a small request a huge answer.
NAMED_AT_MOST = 100


class Keys(ApiView):
    """/v1/keys"""

    scope = {"GET": Scope.KEYS_READ, "POST": Scope.KEYS_WRITE}
    audit_events = {"GET": Event.LISTED, "POST": Event.CREATED}

    def get(self, request: ApiRequest) -> Response:
        _refuse_unknown(request.query_params, FILTERS)
        cursor = pagination.read_cursor(request.query_params)
        page = pagination.page(_filtered(request), cursor)
        uses = usage.last_uses(request.actor.tenant_id, [row.pk for row in page.rows])
        return Response(
            pagination.list_body(page, lambda row: serializers.key(row, last_used=uses.get(row.pk)))
        )

    def post(self, request: ApiRequest) -> Response:
        body = _object(request)
        _refuse_unknown(body, SETTABLE | {"environment", "decoy"})
        reading = Reading()
        name, notes = rights.read_name(body, reading), rights.read_notes(body, reading)
        labels = rights.read_labels(body, reading)
        environment = rights.read_environment(body, reading)
        wanted = rights.read(body, now=timezone.now(), reading=reading)
        is_decoy = rights.read_flag(body, "decoy", reading)
        reading.finish()
        row, token = actions.create(
            by=request.actor,
            name=name,
            environment=environment,
            rights=wanted,
            labels=labels,
            notes=notes,
            is_decoy=is_decoy,
            creator=request.key,
        )
        return _with_token(row, token.text)


class Key(ApiView):
    """/v1/keys/{id}"""

    scope = {"GET": Scope.KEYS_READ, "PATCH": Scope.KEYS_WRITE, "DELETE": Scope.KEYS_WRITE}
    audit_events = {"GET": Event.READ, "PATCH": Event.UPDATED, "DELETE": Event.REVOKED}
    without_fields = ("DELETE",)

    def get(self, request: ApiRequest, key_id: UUID) -> Response:
        row = actions.get(key_id)
        uses = usage.last_uses(row.account_id, [row.pk])
        return Response(serializers.key(row, last_used=uses.get(row.pk)))

    def patch(self, request: ApiRequest, key_id: UUID) -> Response:
        body = _object(request)
        _refuse_unknown(body, SETTABLE)
        row = actions.get(key_id)
        changes = _changes(row, body)
        row = actions.update(by=request.actor, key=row, changes=changes, creator=request.key)
        return Response(serializers.key(row))

    def delete(self, request: ApiRequest, key_id: UUID) -> Response:
        row = actions.revoke(
            by=request.actor,
            key=actions.get(key_id),
            cancel_scheduled=_cancels_scheduled(request.query_params),
            creator=request.key,
        )
        return Response({"object": "key", "id": str(row.pk), "deleted": True})


class KeyRotation(ApiView):
    """POST /v1/keys/{id}/rotate"""

    scope = Scope.KEYS_WRITE
    audit_events = {"POST": Event.ROTATED}

    def post(self, request: ApiRequest, key_id: UUID) -> Response:
        body = _object(request)
        _refuse_unknown(body, {"overlap_seconds"})
        seconds = body.get("overlap_seconds")
        if type(seconds) is not int:
            raise refuse_field("overlap_seconds", "required", "give a whole number of seconds.")
        row, token = actions.rotate(
            by=request.actor,
            key=actions.get(key_id),
            overlap_seconds=seconds,
            creator=request.key,
        )
        return _with_token(row, token.text)


class KeyOverlap(ApiView):
    """POST /v1/keys/{id}/end-overlap"""

    scope = Scope.KEYS_WRITE
    audit_events = {"POST": Event.OVERLAP_ENDED}
    without_fields = ("POST",)

    def post(self, request: ApiRequest, key_id: UUID) -> Response:
        row = actions.end_overlap(by=request.actor, key=actions.get(key_id), creator=request.key)
        return Response(serializers.key(row))


def _with_token(row: ApiKey, token: str) -> Response:
    """The one answer that holds the token."""
    body = serializers.key(row) | {"token": token}
    return Response(body, status=201, headers={"Cache-Control": "no-store"})


def _object(request: ApiRequest) -> Mapping[str, Any]:
    if not isinstance(request.data, dict):
        raise MalformedRequest("The request body must be a JSON object.")
    return request.data


def _refuse_unknown(given: Mapping[str, Any], known: set[str]) -> None:
    """A typo must never open a key or widen a query."""
    unknown = [name for name in given if name not in known]
    problems = [
        FieldError(name[:100], "unknown", f"there is no such name; use {', '.join(sorted(known))}.")
        for name in unknown[:NAMED_AT_MOST]
    ]
    if problems:
        message = f"`{problems[0].field}`: {problems[0].message}"
        raise ValidationFailed(message, errors=problems)


def _cancels_scheduled(query: Mapping[str, Any]) -> bool:
    _refuse_unknown(query, {"cancel_scheduled"})
    given = query.get("cancel_scheduled", "false")
    if given not in ("true", "false"):
        raise refuse_field("cancel_scheduled", "invalid", "give `true` or `false`.")
    return bool(given == "true")


def _filtered(request: ApiRequest) -> Any:
    rows, query = ApiKey.objects.all(), request.query_params
    environment, status = query.get("environment"), query.get("status")
    if environment is not None:
        if environment not in list(Environment):
            choices = ", ".join(Environment)
            raise refuse_field("environment", "unknown", f"choose one of {choices}.")
        rows = rows.filter(environment=environment)
    if status is not None:
        if status not in KeyStatus.values:
            choices = ", ".join(KeyStatus.values)
            raise refuse_field("status", "unknown", f"choose one of {choices}.")
        rows = rows.in_status(KeyStatus(status), timezone.now())
    for label in query.getlist("label"):
        rows = rows.filter(labels__contains=rights.read_label(label))
    return rows


def _changes(row: ApiKey, body: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that a PATCH sets; what it leaves out stays."""
    reading = Reading()
    changes: dict[str, Any] = {}
    present = actions.rights_of(row).columns()
    if "name" in body:
        changes["name"] = rights.read_name(body, reading)
    if "notes" in body:
        changes["notes"] = rights.read_notes(body, reading)
    if "labels" in body:
        changes["labels"] = rights.read_labels(body, reading)
    merged = {"scopes": present["scopes"], **body}
    if row.rotate_every_seconds and "expires_at" in body and "rotate_every_seconds" not in body:
        message = "this key's schedule sets it; change or end `rotate_every_seconds` instead."
        reading.refuse("expires_at", "set_by_schedule", message)
    wanted = rights.read(merged, now=timezone.now(), reading=reading).columns()
    for name in AS_THEY_ARE:
        if name in body:
            changes[name] = wanted[name]
    if "rotate_every_seconds" in body:
        changes["rotate_every_seconds"] = wanted["rotate_every_seconds"]
        changes["expires_at"] = wanted["expires_at"]
    if "rate_limit" in body:
        changes["rate_requests"] = wanted["rate_requests"]
        changes["rate_per_seconds"] = wanted["rate_per_seconds"]
    reading.finish()
    return changes
