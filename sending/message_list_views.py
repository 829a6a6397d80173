"""The list of messages in the console, with its filters, and the same as a file."""

from uuid import UUID

from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from auditlog import actions as audit
from queensmtp.console import requires_right
from queensmtp.errors import ApiError
from queensmtp.pagination import Cursor, Page, page, read_cursor, turns
from sending import message_rows, message_tables, word_search
from sending.audit import Event
from sending.forms import MessageFilterForm
from sending.models import Message
from sending.views import how_to_send
from sending.word_search import Stretch

SECTION = "messages"
ROWS = 50
CSV_ROWS = 10_000


@require_safe
@requires_right(Right.MESSAGES_READ)
def message_list(request: ConsoleRequest) -> HttpResponse:
    form = MessageFilterForm(request.GET)
    shown, stretch = _page(request, form)
    return render(
        request,
        "sending/list.html",
        {
            "section": SECTION,
            "form": form,
            "chips": form.chips(),
            "looked_through": word_search.LOOKED_THROUGH,
            "back_to": stretch.back_to,
            "rows": message_rows.of(shown.rows),
            **_turns(request, form, shown, stretch),
            "csv_rows": CSV_ROWS,
            "csv_looked_through": word_search.LOOKED_THROUGH_FOR_CSV if form.has_words else 0,
            "send": how_to_send(request),
        },
    )


@require_safe
@requires_right(Right.MESSAGES_READ)
def message_csv(request: ConsoleRequest) -> HttpResponse:
    """What the filters describe, newest first. Taking it along is recorded."""
    form = MessageFilterForm(request.GET)
    stretch = _stretch(request, form, below=None, at_most=word_search.LOOKED_THROUGH_FOR_CSV)
    found = form.narrow(stretch.messages).defer("content").order_by("-pk")[:CSV_ROWS]
    rows = message_rows.of(found)
    audit.record(
        by=request.actor, event=Event.EXPORTED, count=max(1, len(rows)), changes=dict(form.chips())
    )
    response = HttpResponse(message_tables.csv_of(rows), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="messages.csv"'
    return response


def _page(request: ConsoleRequest, form: MessageFilterForm) -> tuple[Page[Message], Stretch]:
    try:
        cursor = read_cursor(request.GET, default_limit=ROWS)
        stretch = _stretch(request, form, below=cursor.after, at_most=word_search.LOOKED_THROUGH)
        if form.has_words:
            cursor = Cursor(cursor.limit)
        return page(form.narrow(stretch.messages).defer("content"), cursor), stretch
    except ApiError as refusal:
        raise BadRequest(refusal.message) from refusal


def _stretch(
    request: ConsoleRequest, form: MessageFilterForm, *, below: UUID | None, at_most: int
) -> Stretch:
    """All messages of the chosen days, or as many of them as are searched for words."""
    messages = form.of_days(Message.objects.filter(account=request.account))
    if not form.has_words:
        return Stretch(messages)
    return word_search.newest(messages, below=below, at_most=at_most)


def _turns(
    request: ConsoleRequest, form: MessageFilterForm, shown: Page[Message], stretch: Stretch
) -> dict[str, UUID | None]:
    """The cursors of the buttons; a search for words goes one way, from where it stopped."""
    if not form.has_words:
        return turns(shown, request.GET)
    return {"older": shown.rows[-1].pk if shown.has_more else stretch.last, "newer": None}
