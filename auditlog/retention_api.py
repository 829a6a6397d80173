"""How long the log is kept, and whose data is to go from it, over the API."""

from typing import Any, ClassVar

from rest_framework.response import Response

from auditlog import erasing, queries, retention, serializers
from auditlog.api import AuditView
from auditlog.audit import Event
from auditlog.filters import CURSOR_NAMES
from auditlog.models import Erasure
from queensmtp.actors import Target
from queensmtp.errors import NotFound, refuse_field
from queensmtp.ids import find_id
from queensmtp.pagination import list_body, page, read_cursor
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope


class AuditRetention(AuditView):
    """/v1/audit-log/retention"""

    also_needs: ClassVar[dict[str, Scope]] = {"PATCH": Scope.KEYS_WRITE}
    audit_events: ClassVar[dict[str, str]] = {
        "GET": Event.RETENTION_READ,
        "PATCH": Event.RETENTION_RAISED,
    }

    def get(self, request: ApiRequest) -> Response:
        queries.refuse_unknown(request.query_params, known=frozenset())
        return Response(serializers.retention_body(retention.find(self.account_id(request))))

    def patch(self, request: ApiRequest) -> Response:
        queries.refuse_unknown(request.query_params, known=frozenset())
        days = read_days(request.data)
        kept = retention.choose_days(by=request.actor, days=days)
        return Response(serializers.retention_body(kept))


class Erasures(AuditView):
    """/v1/audit-log/erasures"""

    also_needs: ClassVar[dict[str, Scope]] = {"POST": Scope.KEYS_WRITE}
    audit_events: ClassVar[dict[str, str]] = {
        "GET": Event.ERASURE_LISTED,
        "POST": Event.ERASURE_REQUESTED,
    }

    def get(self, request: ApiRequest) -> Response:
        queries.refuse_unknown(request.query_params, known=CURSOR_NAMES)
        mine = Erasure.objects.filter(account_id=self.account_id(request))
        shown = page(mine, read_cursor(request.query_params))
        return Response(list_body(shown, serializers.erasure_body))

    def post(self, request: ApiRequest) -> Response:
        queries.refuse_unknown(request.query_params, known=frozenset())
        query = queries.filters_in(queries.body_of(request.data))
        erasure = erasing.request(by=request.actor, query=query)
        return Response(serializers.erasure_body(erasure), status=201)


class OneErasure(AuditView):
    """/v1/audit-log/erasures/{id}"""

    audit_events: ClassVar[dict[str, str]] = {"GET": Event.ERASURE_READ}

    def get(self, request: ApiRequest, erasure_id: str) -> Response:
        queries.refuse_unknown(request.query_params, known=frozenset())
        request._request.audit_target = Target(type="audit_erasure", id=erasure_id[:64])
        mine = Erasure.objects.filter(account_id=self.account_id(request))
        id = find_id(erasure_id)
        found = mine.filter(pk=id).first() if id else None
        if found is None:
            raise NotFound("There is no such erasure.")
        return Response(serializers.erasure_body(found))


def read_days(data: Any) -> int:
    body = queries.body_of(data)
    queries.refuse_unknown(body, known=frozenset({"days"}))
    days = body.get("days")
    if days is None:
        raise queries.missing("days")
    if type(days) is not int:
        raise refuse_field("days", "invalid", "give a whole number of days.")
    return days
