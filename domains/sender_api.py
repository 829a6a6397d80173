from uuid import UUID

from rest_framework.response import Response

from domains import payloads, senders, serializers
from domains.audit import Event
from domains.models import SenderIdentity
from queensmtp import pagination
from queensmtp.api import ApiView
from queensmtp.errors import NotFound, refuse_field
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope

QUERY = ("limit", "after", "before")


class Senders(ApiView):
    """/v1/sender-ids"""

    scope = {"GET": Scope.SENDERIDS_READ, "POST": Scope.SENDERIDS_WRITE}
    audit_events = {"GET": Event.SENDERS_LISTED, "POST": Event.SENDER_CREATED}

    def get(self, request: ApiRequest) -> Response:
        for name in request.query_params:
            if name not in QUERY:
                raise refuse_field(name[:64], "unknown_query", f"use {', '.join(QUERY)}.")
        rows = SenderIdentity.objects.filter(account_id=request.actor.tenant_id)
        page = pagination.page(rows, pagination.read_cursor(request.query_params))
        return Response(pagination.list_body(page, payloads.sender))

    def post(self, request: ApiRequest) -> Response:
        given = serializers.read_sender(request.data, is_new=True)
        row = senders.create(by=request.actor, **given)
        return Response(payloads.sender(row), status=201)


class OneSender(ApiView):
    """/v1/sender-ids/{id}"""

    scope = {
        "GET": Scope.SENDERIDS_READ,
        "PATCH": Scope.SENDERIDS_WRITE,
        "DELETE": Scope.SENDERIDS_WRITE,
    }
    audit_events = {
        "GET": Event.SENDER_READ,
        "PATCH": Event.SENDER_UPDATED,
        "DELETE": Event.SENDER_REMOVED,
    }
    without_fields = ("DELETE",)

    def get(self, request: ApiRequest, sender_id: UUID) -> Response:
        row = _get(request, sender_id)
        request._request.audit_target = senders.target(row)
        return Response(payloads.sender(row))

    def patch(self, request: ApiRequest, sender_id: UUID) -> Response:
        row = _get(request, sender_id)
        changes = serializers.read_sender(request.data, is_new=False)
        return Response(
            payloads.sender(senders.update(by=request.actor, sender=row, changes=changes))
        )

    def delete(self, request: ApiRequest, sender_id: UUID) -> Response:
        row = _get(request, sender_id)
        senders.remove(by=request.actor, sender=row)
        return Response({"object": "sender_id", "id": str(sender_id), "deleted": True})


def _get(request: ApiRequest, sender_id: UUID) -> SenderIdentity:
    own = SenderIdentity.objects.filter(account_id=request.actor.tenant_id)
    row = own.filter(pk=sender_id).first()
    if row is None:
        raise NotFound("Sender identity not found")
    return row
