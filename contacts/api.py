from uuid import UUID

from django.utils import timezone
from rest_framework.response import Response

from contacts import actions, payloads, serializers
from contacts.audit import Event
from contacts.models import Suppression, SuppressionQuerySet
from queensmtp import pagination
from queensmtp.actors import Target
from queensmtp.api import ApiView
from queensmtp.errors import NotFound
from queensmtp.ids import find_id
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope


class Suppressions(ApiView):
    """/v1/suppressions"""

    scope = {"GET": Scope.SUPPRESSIONS_READ, "POST": Scope.SUPPRESSIONS_WRITE}
    audit_events = {"GET": Event.SUPPRESSIONS_LISTED, "POST": Event.SUPPRESSION_ADDED}

    def get(self, request: ApiRequest) -> Response:
        rows = _standing(request)
        origin = serializers.read_origin(request.query_params)
        if origin:
            rows = rows.filter(origin=origin)
        page = pagination.page(rows, pagination.read_cursor(request.query_params))
        return Response(pagination.list_body(page, payloads.listed))

    def post(self, request: ApiRequest) -> Response:
        wanted = serializers.read_one(request.data, now=timezone.now())
        (row,) = actions.suppress(by=request.actor, wanted=[wanted])
        _name_target(request, row)
        return Response(payloads.brief(row), status=201)


class OneSuppression(ApiView):
    """/v1/suppressions/{id or e-mail}"""

    scope = {"GET": Scope.SUPPRESSIONS_READ, "DELETE": Scope.SUPPRESSIONS_WRITE}
    audit_events = {"GET": Event.SUPPRESSION_READ, "DELETE": Event.SUPPRESSION_REMOVED}

    def get(self, request: ApiRequest, name: str) -> Response:
        row = _named(request, name)[0]
        _name_target(request, row)
        return Response(payloads.whole(row))

    def delete(self, request: ApiRequest, name: str) -> Response:
        rows = _named(request, name)
        actions.remove(by=request.actor, suppressions=rows)
        return Response(payloads.brief(rows[0], deleted=True))


class BatchAdd(ApiView):
    """POST /v1/suppressions/batch/add"""

    scope = Scope.SUPPRESSIONS_WRITE
    audit_events = {"POST": Event.SUPPRESSION_ADDED}

    def post(self, request: ApiRequest) -> Response:
        wanted = serializers.read_many(request.data, now=timezone.now())
        rows = actions.suppress(by=request.actor, wanted=wanted)
        return Response({"data": [payloads.brief(row) for row in rows]}, status=201)


class BatchRemove(ApiView):
    """POST /v1/suppressions/batch/remove"""

    scope = Scope.SUPPRESSIONS_WRITE
    audit_events = {"POST": Event.SUPPRESSION_REMOVED}

    def post(self, request: ApiRequest) -> Response:
        emails, ids = serializers.read_removal(request.data)
        rows = _standing(request)
        rows = rows.filter(pk__in=ids) if ids else rows.filter(email__in=emails)
        removed = actions.remove(by=request.actor, suppressions=rows)
        return Response({"data": [payloads.brief(row, deleted=True) for row in removed]})


def _standing(request: ApiRequest) -> SuppressionQuerySet:
    own = Suppression.objects.filter(account_id=request.actor.tenant_id)
    return own.standing(timezone.now())


def _named(request: ApiRequest, name: str) -> list[Suppression]:
    """What stops all mail comes before what stops marketing only."""
    identifier: UUID | None = find_id(name)
    key = None if identifier else serializers.find_key(name)
    rows = _standing(request)
    rows = rows.filter(pk=identifier) if identifier else rows.filter(email=key or "")
    found = list(rows.order_by("marketing_only"))
    if not found:
        raise NotFound("Suppression not found")
    return found


def _name_target(request: ApiRequest, row: Suppression) -> None:
    request._request.audit_target = Target("suppression", str(row.pk), row.email)
