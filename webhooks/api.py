from uuid import UUID

from rest_framework.response import Response

from queensmtp import pagination
from queensmtp.api import ApiView
from queensmtp.errors import NotFound
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope, granted
from webhooks import actions, secret_actions, serializers
from webhooks.audit import Event
from webhooks.models import Endpoint

# An answer that holds a secret is for nobody's cache.
NO_STORE = {"Cache-Control": "no-store"}


class Webhooks(ApiView):
    """/v1/webhooks"""

    scope = {"GET": Scope.WEBHOOKS_READ, "POST": Scope.WEBHOOKS_WRITE}
    audit_events = {"GET": Event.LISTED, "POST": Event.CREATED}

    def get(self, request: ApiRequest) -> Response:
        rows = Endpoint.objects.standing().filter(account_id=request.actor.tenant_id)
        page = pagination.page(rows, pagination.read_cursor(request.query_params))
        return Response(pagination.list_body(page, serializers.listed))

    def post(self, request: ApiRequest) -> Response:
        wanted = serializers.read_create(request.data)
        endpoint = actions.create_endpoint(
            by=request.actor,
            url=wanted.endpoint,
            events=wanted.events,
            is_ordered=wanted.is_ordered,
        )
        secret = secret_actions.of_new(endpoint)
        body = serializers.brief(endpoint, signing_secret=secret)
        return Response(body, status=201, headers=NO_STORE)


class Webhook(ApiView):
    """/v1/webhooks/{id}"""

    scope = {
        "GET": Scope.WEBHOOKS_READ,
        "PATCH": Scope.WEBHOOKS_WRITE,
        "DELETE": Scope.WEBHOOKS_WRITE,
    }
    audit_events = {
        "GET": Event.READ,
        "PATCH": Event.UPDATED,
        "DELETE": Event.REMOVED,
    }

    def get(self, request: ApiRequest, webhook_id: UUID) -> Response:
        endpoint = get_endpoint(request, webhook_id)
        secret = None
        if Scope.WEBHOOKS_WRITE in granted(getattr(request.key, "scopes", ())):
            secret = secret_actions.reveal(by=request.actor, endpoint=endpoint)
        body = serializers.single(endpoint, signing_secret=secret)
        return Response(body, headers=NO_STORE)

    def patch(self, request: ApiRequest, webhook_id: UUID) -> Response:
        endpoint = get_endpoint(request, webhook_id)
        changes = serializers.read_update(request.data)
        actions.update_endpoint(
            by=request.actor,
            endpoint=endpoint,
            url=changes.endpoint,
            events=changes.events,
            status=changes.status,
            is_ordered=changes.is_ordered,
        )
        return Response(serializers.brief(endpoint))

    def delete(self, request: ApiRequest, webhook_id: UUID) -> Response:
        endpoint = get_endpoint(request, webhook_id)
        actions.remove_endpoint(by=request.actor, endpoint=endpoint)
        return Response(serializers.brief(endpoint, deleted=True))


class SecretRotation(ApiView):
    """POST /v1/webhooks/{id}/signing-secret/rotate"""

    scope = Scope.WEBHOOKS_WRITE
    audit_events = {"POST": Event.SECRET_ROTATED}

    def post(self, request: ApiRequest, webhook_id: UUID) -> Response:
        endpoint = get_endpoint(request, webhook_id)
        secret = secret_actions.rotate(by=request.actor, endpoint=endpoint)
        return Response(serializers.brief(endpoint, signing_secret=secret), headers=NO_STORE)


def get_endpoint(request: ApiRequest, webhook_id: UUID) -> Endpoint:
    own = Endpoint.objects.standing().filter(account_id=request.actor.tenant_id)
    endpoint = own.filter(pk=webhook_id).first()
    if endpoint is None:
        raise NotFound("Webhook not found.")
    return endpoint
