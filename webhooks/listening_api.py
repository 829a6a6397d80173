"""What stands beneath `queensmtp webhooks listen`."""

from uuid import UUID

from django.utils import timezone
from rest_framework.response import Response

from queensmtp.api import ApiView
from queensmtp.errors import NotFound, refuse_field
from queensmtp.ids import find_id
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope
from webhooks import listening, serializers
from webhooks.api import NO_STORE
from webhooks.audit import Event
from webhooks.models import Endpoint


class Listeners(ApiView):
    """POST /v1/webhooks/listeners"""

    scope = {"POST": Scope.WEBHOOKS_WRITE}
    audit_events = {"POST": Event.LISTENING_STARTED}

    def post(self, request: ApiRequest) -> Response:
        events = serializers.read_events(request.data)
        listener = listening.start(by=request.actor, events=events)
        return Response(
            {
                "object": "webhook_listener",
                "id": str(listener.pk),
                "events": listener.events,
                "ends_after_seconds": listening.LISTENS_SECONDS,
            },
            status=201,
        )


class Listener(ApiView):
    """DELETE /v1/webhooks/listeners/{id}"""

    scope = {"DELETE": Scope.WEBHOOKS_WRITE}
    audit_events = {"DELETE": Event.LISTENING_ENDED}
    without_fields = ("DELETE",)

    def delete(self, request: ApiRequest, listener_id: UUID) -> Response:
        listener = _get(request, listener_id)
        listening.end(by=request.actor, listener=listener)
        return Response({"object": "webhook_listener", "id": str(listener.pk), "deleted": True})


class ListenerEvents(ApiView):
    """GET /v1/webhooks/listeners/{id}/events"""

    # Not a mere read: what it answers is signed with the account's secret.
    scope = {"GET": Scope.WEBHOOKS_WRITE}
    audit_events = {"GET": Event.LISTENED}

    def get(self, request: ApiRequest, listener_id: UUID) -> Response:
        after = _read_after(request.query_params.get("after"))
        found = listening.fetch(
            listener=_get(request, listener_id), after=after, now=timezone.now()
        )
        return Response(
            {
                "object": "list",
                "has_more": len(found) == listening.FETCHED_AT_ONCE,
                "data": [serializers.fetched(one) for one in found],
            },
            headers=NO_STORE,
        )


def _read_after(text: str | None) -> UUID | None:
    if text is None:
        return None
    found = find_id(text)
    if found is None:
        raise refuse_field("after", "unknown_cursor", "give the id of an event of this listener.")
    return found


def _get(request: ApiRequest, listener_id: UUID) -> Endpoint:
    listening_now = Endpoint.objects.listening(timezone.now())
    found = listening_now.filter(account_id=request.actor.tenant_id, pk=listener_id).first()
    if found is None:
        raise NotFound("Listener not found; it may have ended.")
    return found
