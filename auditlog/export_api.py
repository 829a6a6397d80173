"""Exports over the API (`design.md` 3.8)."""

from typing import Any, ClassVar

from django.http import HttpResponse
from django.utils import timezone
from rest_framework.response import Response

from auditlog import export_answers, exporting, queries
from auditlog.api import AuditView
from auditlog.audit import Event
from auditlog.errors import AlreadyFinished
from auditlog.exported import Format
from auditlog.filters import CURSOR_NAMES
from auditlog.models import Export
from queensmtp.actors import Target
from queensmtp.errors import NotFound, refuse_field
from queensmtp.ids import find_id
from queensmtp.pagination import list_body, page, read_cursor
from queensmtp.requests import ApiRequest


class ExportView(AuditView):
    def get_export(self, request: ApiRequest, text: str) -> Export:
        queries.refuse_unknown(request.query_params, known=frozenset())
        request._request.audit_target = Target(type="audit_export", id=text[:64])
        export_id = find_id(text)
        mine = Export.objects.filter(account_id=self.account_id(request))
        found = mine.filter(pk=export_id).first() if export_id else None
        if found is None:
            raise NotFound("There is no such export.")
        return found


class Exports(ExportView):
    """/v1/audit-log/exports"""

    audit_events: ClassVar[dict[str, str]] = {
        "GET": Event.EXPORT_LISTED,
        "POST": Event.EXPORT_REQUESTED,
    }

    def get(self, request: ApiRequest) -> Response:
        queries.refuse_unknown(request.query_params, known=CURSOR_NAMES)
        mine = Export.objects.filter(account_id=self.account_id(request))
        shown = page(mine, read_cursor(request.query_params))
        return Response(list_body(shown, export_answers.body))

    def post(self, request: ApiRequest) -> Response:
        queries.refuse_unknown(request.query_params, known=frozenset())
        asked = read_request(request.data)
        export = exporting.request(by=request.actor, **asked)
        return Response(export_answers.body(export), status=201)


class OneExport(ExportView):
    """/v1/audit-log/exports/{id}"""

    audit_events: ClassVar[dict[str, str]] = {"GET": Event.EXPORT_READ}

    def get(self, request: ApiRequest, export_id: str) -> Response:
        return Response(export_answers.body(self.get_export(request, export_id)))


class ExportCancel(ExportView):
    """/v1/audit-log/exports/{id}/cancel"""

    audit_events: ClassVar[dict[str, str]] = {"POST": Event.EXPORT_CANCELED}
    without_fields = ("POST",)

    def post(self, request: ApiRequest, export_id: str) -> Response:
        export = self.get_export(request, export_id)
        if not exporting.cancel(by=request.actor, export=export):
            raise AlreadyFinished
        export.refresh_from_db()
        return Response(export_answers.body(export))


class ExportFile(ExportView):
    """/v1/audit-log/exports/{id}/file"""

    # No ordinary read: its entry waits for the disk, and shows.
    audit_events: ClassVar[dict[str, str]] = {"GET": Event.EXPORT_DOWNLOADED}

    def get(self, request: ApiRequest, export_id: str) -> HttpResponse:
        export = self.get_export(request, export_id)
        return export_answers.file(export, exporting.get_file(export, now=timezone.now()))


def read_request(data: Any) -> dict[str, Any]:
    """Read the body into what the action takes. The filters are those of the list."""
    body = queries.body_of(data)
    format = body.get("format", Format.JSONL)
    if format not in Format.values:
        raise refuse_field("format", "invalid", f"give one of {', '.join(Format.values)}.")
    proofs = body.get("proofs", False)
    if not isinstance(proofs, bool):
        raise refuse_field("proofs", "invalid", "give true or false.")
    rest = {name: value for name, value in body.items() if name not in ("format", "proofs")}
    return {"format": format, "with_proofs": proofs, "query": queries.filters_in(rest)}
