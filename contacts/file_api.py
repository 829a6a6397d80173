"""Suppressions as files, in and out: ours, beside what Resend's clients speak."""

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import IO, Any
from uuid import UUID

from django.http import FileResponse
from django.utils import timezone
from rest_framework.parsers import BaseParser
from rest_framework.response import Response

from auditlog import actions as audit
from contacts import actions, csv_files, serializers
from contacts.audit import Event
from contacts.csv_files import FileRefused, FileTooLarge, Read
from contacts.models import Suppression, SuppressionQuerySet
from queensmtp import json_body
from queensmtp.api import ApiView
from queensmtp.errors import (
    ApiError,
    FieldError,
    PayloadTooLarge,
    ValidationFailed,
    refuse_field,
)
from queensmtp.ids import find_id
from queensmtp.requests import ApiRequest
from queensmtp.scopes import Scope

CSV = "text/csv"
# Of an item in JSON, each a text or null.
FIELDS = ("email", "origin", "reason", "expires_at")
# A thread is held while an answer is written.
EXPORTED_AT_ONCE = 100_000
FETCHED_AT_ONCE = 2_000
NEXT_HEADER = "X-Next-After"


class CsvOrJson(BaseParser):
    """A file as it is, by its `Content-Type`, or JSON. A file is a text, so that a secret in it
    is found."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        content = stream.read()
        if not (media_type or "").lower().startswith(CSV):
            return json_body.read(content)
        try:
            return csv_files.text_of(content)
        except FileRefused as refused:
            raise _refusal(refused) from None


class SuppressionImport(ApiView):
    """POST /v1/suppressions/import"""

    scope = Scope.SUPPRESSIONS_WRITE
    audit_events = {"POST": Event.SUPPRESSIONS_IMPORTED}
    parser_classes = (CsvOrJson,)

    def post(self, request: ApiRequest) -> Response:
        """All of it, or none when anything is wrong with it."""
        _refuse_unknown(request.query_params, ())
        started = timezone.now()
        given: Any = request.data
        read = _of_file(given) if isinstance(given, str) else _of_json(given)
        rows = actions.suppress(
            by=request.actor, wanted=read.wanted, event=Event.SUPPRESSIONS_IMPORTED
        )
        standing = {row.pk: row for row in rows}
        added = sum(row.created_at >= started for row in standing.values())
        answer = {"object": "suppression_import", "added": added, "total": len(standing)}
        return Response(answer, status=201)


class SuppressionExport(ApiView):
    """GET /v1/suppressions/export"""

    scope = Scope.SUPPRESSIONS_READ
    # No ordinary read: its entry waits for the disk, and shows.
    audit_events = {"GET": Event.SUPPRESSIONS_EXPORTED}

    def get(self, request: ApiRequest) -> FileResponse:
        _refuse_unknown(request.query_params, ("origin", "after"))
        file, written = _file_of(_wanted(request))
        audit.record(
            by=request.actor,
            event=Event.SUPPRESSIONS_EXPORTED,
            changes={"filters": request.query_params.dict(), "rows": written.count},
            count=max(1, written.count),
        )
        response = FileResponse(
            file, as_attachment=True, filename="suppressions.csv", content_type=CSV
        )
        response.headers["Cache-Control"] = "no-store, private"
        if written.is_cut:
            response.headers[NEXT_HEADER] = str(written.last)
        return response


class _Written(Iterable[Suppression]):
    """Rows on their way to a file: how many went, the last of them, and whether more are left."""

    def __init__(self, rows: SuppressionQuerySet) -> None:
        self.rows, self.count, self.is_cut = rows, 0, False
        self.last: UUID | None = None

    def __iter__(self) -> Iterator[Suppression]:
        found = self.rows.order_by("-pk")[: EXPORTED_AT_ONCE + 1].iterator(FETCHED_AT_ONCE)
        for row in islice(found, EXPORTED_AT_ONCE):
            self.count, self.last = self.count + 1, row.pk
            yield row
        self.is_cut = next(found, None) is not None


def _file_of(rows: SuppressionQuerySet) -> tuple[IO[bytes], _Written]:
    """A file without a name, sent a piece at a time: however slow its reader is, it holds neither
    the memory nor the transaction."""
    file, written = tempfile.TemporaryFile(), _Written(rows)  # noqa: SIM115 - the answer closes it
    file.writelines(csv_files.write(written))
    file.seek(0)
    return file, written


def _wanted(request: ApiRequest) -> SuppressionQuerySet:
    rows = Suppression.objects.filter(account_id=request.actor.tenant_id).standing(timezone.now())
    origin, after = serializers.read_origin(request.query_params), request.query_params.get("after")
    if origin:
        rows = rows.filter(origin=origin)
    if after is None:
        return rows
    last = find_id(after)
    if last is None:
        raise refuse_field("after", "invalid", f"give the id that `{NEXT_HEADER}` named.")
    return rows.filter(pk__lt=last)


def _of_file(text: str) -> Read:
    try:
        read = csv_files.read_text(text, now=timezone.now())
    except FileRefused as refused:
        raise _refusal(refused) from None
    if not read.wanted and not read.problems:
        raise refuse_field("body", "empty", "the file holds no address.")
    _refuse_problems(read, lambda row, _: f"line {row}")
    return read


def _of_json(body: Any) -> Read:
    items = body.get("suppressions") if isinstance(body, dict) else None
    if not isinstance(items, list) or not 1 <= len(items) <= csv_files.ROWS_AT_MOST:
        message = (
            f"give a list of 1 to {csv_files.ROWS_AT_MOST:,} objects, or a file with "
            f"`Content-Type: {CSV}`."
        )
        raise refuse_field("suppressions", "invalid", message)
    for name in body:
        if name != "suppressions":
            raise refuse_field(name[:100], "unknown", "there is no such field.")
    read, now = Read(), timezone.now()
    for at, item in enumerate(items):
        row = _row_of(item, at, read)
        if row is not None:
            csv_files.read_row(row, at, read, now)
    _refuse_problems(read, lambda row, column: f"suppressions[{row}].{column}".rstrip("."))
    return read


def _row_of(item: Any, at: int, read: Read) -> dict[str, str] | None:
    """An item as a row of a file; None, and what is wrong, when it cannot be one."""
    if not isinstance(item, dict):
        read.refuse(at, "", f"it is no object with {', '.join(FIELDS)}")
        return None
    row = {name: value for name, value in item.items() if value is not None}
    for name, value in row.items():
        if name not in FIELDS:
            read.refuse(at, name[:100], f"there is no such field; use {', '.join(FIELDS)}")
            return None
        if not isinstance(value, str):
            read.refuse(at, name, "it is no text")
            return None
    return row


def _refuse_problems(read: Read, place: Callable[[int, str], str]) -> None:
    """422 that names what is wrong, the first of it in the message."""
    if not read.problems:
        return
    errors = [
        FieldError(place(one.row, one.column), "invalid", f"{one.message}.")
        for one in read.problems
    ]
    rest = read.problem_count - 1
    more = f" And {rest:,} more." if rest else ""
    raise ValidationFailed(
        f"`{errors[0].field}`: {errors[0].message}{more} Nothing was imported.", errors=errors
    )


def _refusal(refused: FileRefused) -> ApiError:
    if isinstance(refused, FileTooLarge):
        return PayloadTooLarge(str(refused))
    return refuse_field("body", "invalid", str(refused))


def _refuse_unknown(given: Mapping[str, Any], known: Collection[str]) -> None:
    """A typo must not widen what is taken along."""
    for name in given:
        if name not in known:
            choices = f"use {' and '.join(known)}" if known else "this call has none"
            raise refuse_field(str(name)[:100], "unknown", f"there is no such filter; {choices}.")
