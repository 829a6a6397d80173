"""Named searches of the log, over the API: a key's own, and those that are shared."""

from typing import Any, ClassVar

from rest_framework.response import Response

from auditlog import queries, saving, serializers
from auditlog.api import AuditView
from auditlog.audit import Event
from auditlog.filters import CURSOR_NAMES
from auditlog.models import SavedView
from auditlog.saved import SavedViewQuerySet
from queensmtp.actors import Target
from queensmtp.errors import NotFound
from queensmtp.ids import find_id
from queensmtp.pagination import list_body, page, read_cursor
from queensmtp.requests import ApiRequest


class ViewsView(AuditView):
    def seen(self, request: ApiRequest) -> SavedViewQuerySet:
        mine = SavedView.objects.filter(account_id=self.account_id(request))
        return mine.seen_by(request.actor.id)

    def find_view(self, request: ApiRequest, text: str) -> SavedView:
        queries.refuse_unknown(request.query_params, known=frozenset())
        request._request.audit_target = Target(type="audit_view", id=text[:64])
        id = find_id(text)
        found = self.seen(request).filter(pk=id).first() if id else None
        if found is None:
            raise NotFound("There is no such view.")
        return found


class SavedViews(ViewsView):
    """/v1/audit-log/views"""

    audit_events: ClassVar[dict[str, str]] = {"GET": Event.VIEW_LISTED, "POST": Event.VIEW_SAVED}

    def get(self, request: ApiRequest) -> Response:
        queries.refuse_unknown(request.query_params, known=CURSOR_NAMES)
        shown = page(self.seen(request), read_cursor(request.query_params))
        return Response(list_body(shown, serializers.view_body))

    def post(self, request: ApiRequest) -> Response:
        """Save a search; the key's own view of that name is replaced."""
        queries.refuse_unknown(request.query_params, known=frozenset())
        view = saving.save(by=request.actor, **read_view(request.data))
        return Response(serializers.view_body(view), status=201)


class OneView(ViewsView):
    """/v1/audit-log/views/{id}"""

    audit_events: ClassVar[dict[str, str]] = {"GET": Event.VIEW_READ, "DELETE": Event.VIEW_REMOVED}
    without_fields = ("DELETE",)

    def get(self, request: ApiRequest, view_id: str) -> Response:
        return Response(serializers.view_body(self.find_view(request, view_id)))

    def delete(self, request: ApiRequest, view_id: str) -> Response:
        """Of its own; a view that somebody shared is theirs to remove."""
        view = self.find_view(request, view_id)
        if view.owner_id != request.actor.id:
            raise NotFound("This key has saved no such view.")
        saving.remove(by=request.actor, view=view)
        return Response({"object": "audit_view", "id": view_id, "deleted": True})


def read_view(data: Any) -> dict[str, Any]:
    body = queries.body_of(data)
    queries.refuse_unknown(body, known=frozenset({"name", "filters", "shared"}))
    return {
        "name": queries.find_text(body, "name"),
        "query": queries.filters_in(queries.body_of(body.get("filters") or {})),
        "is_shared": queries.find_switch(body, "shared", default=False),
    }
