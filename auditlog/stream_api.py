"""Streams to other people's SIEMs, over the API."""

from typing import Any, ClassVar

from rest_framework.response import Response

from auditlog import queries, serializers, streaming
from auditlog.api import AuditView
from auditlog.audit import Event
from auditlog.filters import CURSOR_NAMES
from auditlog.models import Stream
from auditlog.streamed import Fields, Kind
from queensmtp.actors import Target
from queensmtp.errors import NotFound, refuse_field
from queensmtp.ids import find_id
from queensmtp.pagination import list_body, page, read_cursor
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope

SETTABLE = frozenset({"kind", "address", "fields", "authorization", "from_now_on"})


class Streams(AuditView):
    """/v1/audit-log/streams"""

    also_needs: ClassVar[dict[str, Scope]] = {"POST": Scope.KEYS_WRITE}
    audit_events: ClassVar[dict[str, str]] = {
        "GET": Event.STREAM_LISTED,
        "POST": Event.STREAM_CREATED,
    }

    def get(self, request: ApiRequest) -> Response:
        queries.refuse_unknown(request.query_params, known=CURSOR_NAMES)
        mine = Stream.objects.filter(account_id=self.account_id(request))
        shown = page(mine, read_cursor(request.query_params))
        return Response(list_body(shown, serializers.stream_body))

    def post(self, request: ApiRequest) -> Response:
        queries.refuse_unknown(request.query_params, known=frozenset())
        chosen = read_chosen(request.data)
        stream = streaming.create(by=request.actor, chosen=chosen)
        return Response(serializers.stream_body(stream), status=201)


class OneStream(AuditView):
    """/v1/audit-log/streams/{id}"""

    also_needs: ClassVar[dict[str, Scope]] = {"PATCH": Scope.KEYS_WRITE, "DELETE": Scope.KEYS_WRITE}
    audit_events: ClassVar[dict[str, str]] = {
        "GET": Event.STREAM_READ,
        "PATCH": Event.STREAM_SWITCHED,
        "DELETE": Event.STREAM_REMOVED,
    }
    without_fields = ("DELETE",)

    def get(self, request: ApiRequest, stream_id: str) -> Response:
        return Response(serializers.stream_body(self.get_stream(request, stream_id)))

    def patch(self, request: ApiRequest, stream_id: str) -> Response:
        """Stop it, or let it go on where it stopped."""
        stream = self.get_stream(request, stream_id)
        body = queries.body_of(request.data)
        queries.refuse_unknown(body, known=frozenset({"enabled"}))
        if body.get("enabled") is None:
            raise queries.missing("enabled")
        is_enabled = queries.find_switch(body, "enabled", default=True)
        streaming.switch(by=request.actor, stream=stream, is_enabled=is_enabled)
        stream.refresh_from_db()
        return Response(serializers.stream_body(stream))

    def delete(self, request: ApiRequest, stream_id: str) -> Response:
        stream = self.get_stream(request, stream_id)
        streaming.remove(by=request.actor, stream=stream)
        return Response({"object": "audit_stream", "id": stream_id, "deleted": True})

    def get_stream(self, request: ApiRequest, text: str) -> Stream:
        queries.refuse_unknown(request.query_params, known=frozenset())
        request._request.audit_target = Target(type="audit_stream", id=text[:64])
        mine = Stream.objects.filter(account_id=self.account_id(request))
        id = find_id(text)
        found = mine.filter(pk=id).first() if id else None
        if found is None:
            raise NotFound("There is no such stream.")
        return found


def read_chosen(data: Any) -> streaming.Chosen:
    body = queries.body_of(data)
    queries.refuse_unknown(body, known=SETTABLE)
    address = queries.find_text(body, "address")
    if not address:
        raise queries.missing("address")
    kind = _one_of(body, "kind", Kind.values)
    authorization = queries.find_text(body, "authorization")
    if authorization and kind != Kind.HTTPS:
        raise refuse_field("authorization", "not_allowed", "only HTTPS has such a header.")
    return streaming.Chosen(
        kind=kind,
        address=address,
        names=_one_of(body, "fields", Fields.values),
        authorization=authorization,
        from_now_on=queries.find_switch(body, "from_now_on", default=True),
    )


def _one_of(body: Any, name: str, choices: list[str]) -> str:
    """What is not given is the first choice."""
    value = body.get(name)
    if value is None:
        return choices[0]
    if value not in choices:
        raise refuse_field(name, "invalid", f"give one of {', '.join(choices)}.")
    return str(value)
