"""/v1/api-keys: the key model in the shape that Resend's clients speak (wire contract 3).

It stands beside the domains because it names one by its id. Unknown body fields are ignored
here, as those clients send some; `/v1/keys` is the whole model.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from rest_framework.response import Response

from apikeys import actions, rights, usage
from apikeys.audit import Event
from apikeys.models import ApiKey, ApiKeyQuerySet
from apikeys.policy import KeyRecord
from apikeys.rights import Reading, Rights
from apikeys.tokens import Environment
from domains.models import Domain
from queensmtp import pagination
from queensmtp.api import ApiView
from queensmtp.errors import (
    FieldError,
    MalformedRequest,
    MissingField,
    NotFound,
    refuse_field,
)
from queensmtp.ids import find_id
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope

FULL, SENDING = "full_access", "sending_access"
# Resend lists every key when no limit is given; beyond this, `has_more` says that there are more.
LISTED_AT_ONCE = 10_000


class ResendKeys(ApiView):
    """/v1/api-keys"""

    scope = {"GET": Scope.KEYS_READ, "POST": Scope.KEYS_WRITE}
    audit_events = {"GET": Event.LISTED, "POST": Event.CREATED}

    def get(self, request: ApiRequest) -> Response:
        cursor = pagination.read_cursor(request.query_params, default_limit=LISTED_AT_ONCE)
        page = pagination.page(_not_removed(), cursor)
        uses = usage.last_uses(request.actor.tenant_id, [row.pk for row in page.rows])
        return Response(pagination.list_body(page, lambda row: _listed(row, uses.get(row.pk))))

    def post(self, request: ApiRequest) -> Response:
        body = _object(request)
        name, wanted = _name(body), _wanted(body, request.key)
        row, token = actions.create(
            by=request.actor,
            name=name,
            environment=Environment(request.key.environment),
            rights=wanted,
            creator=request.key,
        )
        answer = {"id": str(row.pk), "token": token.text}
        return Response(answer, status=201, headers={"Cache-Control": "no-store"})


class ResendKey(ApiView):
    """/v1/api-keys/{id}"""

    scope = Scope.KEYS_WRITE
    audit_events = {"PATCH": Event.UPDATED, "DELETE": Event.REVOKED}

    def patch(self, request: ApiRequest, key_id: UUID) -> Response:
        row, name = _get(key_id), _name(_object(request))
        actions.update(by=request.actor, key=row, changes={"name": name}, creator=request.key)
        return Response({"object": "api_key", "id": str(row.pk)})

    def delete(self, request: ApiRequest, key_id: UUID) -> Response:
        row = actions.revoke(by=request.actor, key=_get(key_id), creator=request.key)
        return Response({"object": "api_key", "id": str(row.pk), "deleted": True})


def _not_removed() -> ApiKeyQuerySet:
    """Here a removed key is gone, although its row stays."""
    return ApiKey.objects.filter(revoked_at=None)


def _get(key_id: UUID) -> ApiKey:
    row = _not_removed().filter(pk=key_id).first()
    if row is None:
        raise NotFound("API key not found")
    return row


def _listed(row: ApiKey, last_used: usage.Use | None) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "name": row.name,
        "created_at": row.created_at.isoformat(),
        "last_used_at": last_used.at.isoformat() if last_used and last_used.at else None,
    }


def _object(request: ApiRequest) -> Mapping[str, Any]:
    if not isinstance(request.data, dict):
        raise MalformedRequest("The request body must be a JSON object.")
    return request.data


def _name(body: Mapping[str, Any]) -> str:
    if body.get("name") is None:
        missing = FieldError("name", "missing", "give the key a name.")
        raise MissingField("Missing `name` field.", errors=[missing])
    reading = Reading()
    name = rights.read_name(body, reading)
    reading.finish()
    return name


def _wanted(body: Mapping[str, Any], creator: KeyRecord) -> Rights:
    """The creator's own limits, with fewer scopes and fewer domains if the body says so."""
    permission = body.get("permission") or FULL
    if permission not in (FULL, SENDING):
        raise refuse_field("permission", "unknown", f"choose {FULL} or {SENDING}.")
    scopes = creator.scopes if permission == FULL else (Scope.EMAIL_SEND,)
    return Rights(
        scopes=scopes,
        domains=_domains(body.get("domain_id"), creator),
        allowed_cidrs=creator.allowed_cidrs,
        allowed_recipients=creator.allowed_recipients,
        expires_at=_end_of(creator),
        rate_requests=creator.rate_requests,
        rate_per_seconds=creator.rate_per_seconds,
        daily_quota=creator.daily_quota,
    )


def _domains(domain_id: Any, creator: KeyRecord) -> tuple[str, ...] | None:
    """Resend reads `domain_id` for sending keys only; we never drop a restriction."""
    if domain_id is None:
        return creator.domains
    wanted = find_id(domain_id) if isinstance(domain_id, str) else None
    domain = Domain.objects.standing().filter(pk=wanted).first() if wanted else None
    if domain is None:
        raise refuse_field("domain_id", "unknown_domain", "there is no such domain.")
    return (domain.name,)


def _end_of(creator: KeyRecord) -> datetime | None:
    ends = [at for at in (creator.expires_at, creator.overlap_ends_at) if at is not None]
    return min(ends, default=None)
