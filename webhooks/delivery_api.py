"""What was sent to an endpoint, and sending it again (wire contract 6)."""

from uuid import UUID

from rest_framework.response import Response

from queensmtp import pagination
from queensmtp.api import ApiView
from queensmtp.errors import NotFound
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope
from webhooks import replays, serializers
from webhooks.api import get_endpoint
from webhooks.audit import Event
from webhooks.models import Attempt, Delivery, Endpoint


class Events(ApiView):
    """/v1/webhooks/{id}/events"""

    scope = {"GET": Scope.WEBHOOKS_READ}
    audit_events = {"GET": Event.DELIVERIES_READ}

    def get(self, request: ApiRequest, webhook_id: UUID) -> Response:
        endpoint = get_endpoint(request, webhook_id)
        rows = Delivery.objects.filter(account_id=endpoint.account_id, endpoint=endpoint)
        status = serializers.read_status_filter(request.query_params.get("status"))
        if status is not None:
            rows = rows.with_status(status)
        cursor = pagination.read_cursor(request.query_params)
        page = pagination.page(rows, cursor, by="event_id")
        return Response(pagination.list_body(page, serializers.event_listed))


class SingleEvent(ApiView):
    """/v1/webhooks/{id}/events/{event_id}"""

    scope = {"GET": Scope.WEBHOOKS_READ}
    audit_events = {"GET": Event.DELIVERIES_READ}

    def get(self, request: ApiRequest, webhook_id: UUID, event_id: UUID) -> Response:
        delivery = get_delivery(get_endpoint(request, webhook_id), event_id)
        return Response(serializers.event_single(delivery))


class EventReplay(ApiView):
    """POST /v1/webhooks/{id}/events/{event_id}/replay"""

    scope = {"POST": Scope.WEBHOOKS_WRITE}
    audit_events = {"POST": Event.REPLAYED}

    def post(self, request: ApiRequest, webhook_id: UUID, event_id: UUID) -> Response:
        endpoint = get_endpoint(request, webhook_id)
        delivery = get_delivery(endpoint, event_id)
        replays.replay(by=request.actor, endpoint=endpoint, delivery=delivery)
        return Response({"object": "webhook_event", "id": str(delivery.event_id)})


class EventAttempts(ApiView):
    """/v1/webhooks/{id}/events/{event_id}/attempts"""

    scope = {"GET": Scope.WEBHOOKS_READ}
    audit_events = {"GET": Event.DELIVERIES_READ}

    def get(self, request: ApiRequest, webhook_id: UUID, event_id: UUID) -> Response:
        delivery = get_delivery(get_endpoint(request, webhook_id), event_id)
        rows = Attempt.objects.filter(account_id=delivery.account_id, delivery_id=delivery.pk)
        page = pagination.page(rows, pagination.read_cursor(request.query_params))
        return Response(pagination.list_body(page, serializers.attempt))


class FailedReplay(ApiView):
    """POST /v1/webhooks/{id}/replay"""

    scope = {"POST": Scope.WEBHOOKS_WRITE}
    audit_events = {"POST": Event.REPLAYED}

    def post(self, request: ApiRequest, webhook_id: UUID) -> Response:
        endpoint = get_endpoint(request, webhook_id)
        since = serializers.read_since(request.data)
        count, has_more = replays.replay_failed(by=request.actor, endpoint=endpoint, since=since)
        return Response(serializers.brief(endpoint, replayed=count, has_more=has_more))


class TestEvent(ApiView):
    """POST /v1/webhooks/{id}/test"""

    scope = {"POST": Scope.WEBHOOKS_WRITE}
    audit_events = {"POST": Event.TESTED}

    def post(self, request: ApiRequest, webhook_id: UUID) -> Response:
        endpoint = get_endpoint(request, webhook_id)
        type = serializers.read_type(request.data)
        delivery = replays.send_test(by=request.actor, endpoint=endpoint, type=type)
        return Response({"object": "webhook_event", "id": str(delivery.event_id)}, status=201)


def get_delivery(endpoint: Endpoint, event_id: UUID) -> Delivery:
    rows = Delivery.objects.filter(
        account_id=endpoint.account_id, endpoint=endpoint, event_id=event_id
    )
    found = rows.order_by("-pk").first()
    if found is None:
        raise NotFound("Webhook event not found.")
    return found
