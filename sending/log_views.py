"""The API request log in the console, with each request as a command that makes it again."""

from uuid import UUID

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from apikeys.models import ApiKey
from auditlog.models import Entry
from queensmtp.console import requires_right
from queensmtp.errors import ApiError
from queensmtp.pagination import Page, page, read_cursor, turns
from sending import request_log
from sending.forms import RequestFilterForm

SECTION = "requests"
ROWS = 50


@require_safe
@requires_right(Right.AUDIT_READ)
def request_list(request: ConsoleRequest) -> HttpResponse:
    form = RequestFilterForm(request.GET)
    shown = _page(request, form)
    keys = ApiKey.objects.in_bulk({entry.key_id for entry in shown.rows if entry.key_id})
    rows = [(request_log.request_of(entry), keys.get(entry.key_id)) for entry in shown.rows]
    return render(
        request,
        "sending/requests.html",
        {
            "section": SECTION,
            "form": form,
            "chips": form.chips(),
            "rows": rows,
            **turns(shown, request.GET),
        },
    )


@require_safe
@requires_right(Right.AUDIT_READ)
def request_detail(request: ConsoleRequest, entry_id: UUID) -> HttpResponse:
    entry = request_log.of_account(request.account.pk).filter(id=entry_id).first()
    if entry is None:
        raise Http404("There is no such request.")
    told = request_log.request_of(entry)
    ca_file = settings.LOCAL_CA_FILE if settings.MODE == "embedded" else ""
    curl = request_log.curl_of(told, api_url=f"{settings.CONSOLE_URL}/v1", ca_file=ca_file)
    key = ApiKey.objects.filter(pk=entry.key_id).first() if entry.key_id else None
    context = {"section": SECTION, "told": told, "entry": entry, "key": key, "curl": curl}
    return render(request, "sending/request.html", context)


def _page(request: ConsoleRequest, form: RequestFilterForm) -> Page[Entry]:
    entries = form.narrow(request_log.of_account(request.account.pk))
    try:
        return page(entries, read_cursor(request.GET, default_limit=ROWS))
    except ApiError as refusal:
        raise BadRequest(refusal.message) from refusal
