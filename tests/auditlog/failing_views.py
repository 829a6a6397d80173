"""Views for tests: one records and then fails, one declares no event of its own."""

from django.urls import path
from rest_framework.response import Response

from auditlog import actions
from queensmtp.api import ApiView
from queensmtp.errors import Conflict
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope


class RecordsThenFails(ApiView):
    scope = Scope.KEYS_READ
    audit_events = {"POST": "thing.changed"}

    def post(self, request: ApiRequest) -> Response:
        actions.record(by=request.actor, event="thing.changed")
        if request.query_params.get("bug"):
            raise ZeroDivisionError
        raise Conflict


class DeclaresNoEvent(ApiView):
    scope = Scope.KEYS_READ

    def get(self, request: ApiRequest) -> Response:
        return Response({})


urlpatterns = [
    path("v1/fails", RecordsThenFails.as_view()),
    path("v1/undeclared", DeclaresNoEvent.as_view()),
]

handler500 = "queensmtp.error_views.server_error"
