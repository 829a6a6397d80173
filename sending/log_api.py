"""GET /v1/logs: the account's requests, as Resend's clients read them (wire contract 8)."""

from typing import ClassVar
from uuid import UUID

from rest_framework.response import Response

from queensmtp import pagination
from queensmtp.actors import Target
from queensmtp.api import ApiView
from queensmtp.errors import NotFound
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope
from sending import request_log
from sending.audit import Event


class Logs(ApiView):
    scope = Scope.AUDIT_READ
    audit_events: ClassVar[dict[str, str]] = {"GET": Event.REQUESTS_LISTED}

    def get(self, request: ApiRequest) -> Response:
        cursor = pagination.read_cursor(request.query_params)
        page = pagination.page(request_log.of_account(request.actor.tenant_id), cursor)
        return Response(
            pagination.list_body(page, lambda entry: request_log.request_of(entry).body())
        )


class Log(ApiView):
    scope = Scope.AUDIT_READ
    audit_events: ClassVar[dict[str, str]] = {"GET": Event.REQUEST_READ}

    def get(self, request: ApiRequest, log_id: UUID) -> Response:
        entry = request_log.of_account(request.actor.tenant_id).filter(id=log_id).first()
        if entry is None:
            raise NotFound("Log not found")
        request._request.audit_target = Target("audit_entry", str(entry.id))
        told = request_log.request_of(entry).body()
        # Bodies are never kept.
        return Response({"object": "log", **told, "request_body": None, "response_body": None})
