from uuid import UUID

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from accounts.stepup import requires_step_up
from auditlog import actions as audit
from contacts import actions, csv_files
from contacts.audit import Event
from contacts.csv_files import Read
from contacts.forms import AddForm, ImportForm, RemoveForm, SuppressionFilterForm
from contacts.models import Suppression, SuppressionQuerySet
from queensmtp.console import requires_right
from queensmtp.errors import ApiError
from queensmtp.pagination import Page, page, read_cursor, turns

SECTION = "suppressions"
ROWS = 50
EXPORTED_AT_MOST = 200_000

form_page = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@requires_right(Right.CONTACTS_READ)
def suppression_list(request: ConsoleRequest) -> HttpResponse:
    form = SuppressionFilterForm(request.GET)
    shown = _page(request, form)
    now = timezone.now()
    return render(
        request,
        "contacts/suppressions.html",
        {
            "section": SECTION,
            "form": form,
            "chips": form.chips(),
            "rows": [(row, row.is_standing(now)) for row in shown.rows],
            **turns(shown, request.GET),
        },
    )


@require_safe
@requires_right(Right.CONTACTS_READ)
def suppression_detail(request: ConsoleRequest, suppression_id: UUID) -> HttpResponse:
    row = _suppression(request, suppression_id)
    return render(
        request,
        "contacts/suppression.html",
        {
            "section": SECTION,
            "row": row,
            "is_standing": row.is_standing(timezone.now()),
            "others": _own(request).filter(email=row.email).exclude(pk=row.pk).order_by("-pk")[:20],
            "form": RemoveForm(),
        },
    )


@form_page
@requires_right(Right.CONTACTS_WRITE)
def suppression_add(request: ConsoleRequest) -> HttpResponse:
    form = AddForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        rows = actions.suppress(by=request.actor, wanted=form.wanted())
        count = len({row.pk for row in rows})
        messages.success(request, f"Mail to {_counted(count, 'address')} is stopped.")
        return redirect("suppression_list")
    return render(request, "contacts/add.html", {"section": SECTION, "form": form})


@form_page
@requires_right(Right.CONTACTS_WRITE)
def suppression_remove(request: ConsoleRequest, suppression_id: UUID) -> HttpResponse:
    row = _suppression(request, suppression_id)
    form = RemoveForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        note = form.cleaned_data["note"]
        removed = actions.remove(by=request.actor, suppressions=[row], note=note)
        if removed:
            messages.success(request, f"Mail may go to {row.email} again.")
        return redirect("suppression_detail", suppression_id=row.pk)
    context = {"section": SECTION, "row": row, "form": form}
    return render(request, "contacts/remove.html", context)


@form_page
@requires_right(Right.CONTACTS_WRITE)
def suppression_import(request: ConsoleRequest) -> HttpResponse:
    form = ImportForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        read: Read = form.cleaned_data["file"]
        rows = actions.suppress(
            by=request.actor, wanted=read.wanted, event=Event.SUPPRESSIONS_IMPORTED
        )
        count = len({row.pk for row in rows})
        messages.success(request, f"Mail to {_counted(count, 'address')} of the file is stopped.")
        if read.problem_count:
            messages.warning(request, _left_out(read))
        return redirect("suppression_list")
    return render(request, "contacts/import.html", {"section": SECTION, "form": form})


@require_safe
@requires_right(Right.CONTACTS_READ)
@requires_step_up
def suppression_export(request: ConsoleRequest) -> HttpResponse:
    """What the filters of the list show, as one file."""
    rows = SuppressionFilterForm(request.GET).narrow(_own(request)).order_by("-pk")
    found = list(rows[: EXPORTED_AT_MOST + 1])
    if len(found) > EXPORTED_AT_MOST:
        messages.error(
            request,
            f"There are more than {EXPORTED_AT_MOST:,}. Choose an origin or a domain,"
            " or read the list by the API.",
        )
        return redirect("suppression_list")
    audit.record(
        by=request.actor,
        event=Event.SUPPRESSIONS_EXPORTED,
        changes={"filters": dict(SuppressionFilterForm(request.GET).chips())},
        count=max(1, len(found)),
    )
    response = HttpResponse(b"".join(csv_files.write(found)), content_type="text/csv")
    response.headers["Content-Disposition"] = 'attachment; filename="suppressions.csv"'
    return response


def _own(request: ConsoleRequest) -> SuppressionQuerySet:
    return Suppression.objects.filter(account=request.account)


def _suppression(request: ConsoleRequest, suppression_id: UUID) -> Suppression:
    return get_object_or_404(Suppression, account=request.account, pk=suppression_id)


def _page(request: ConsoleRequest, form: SuppressionFilterForm) -> Page[Suppression]:
    try:
        cursor = read_cursor(request.GET, default_limit=ROWS)
        return page(form.narrow(_own(request)), cursor)
    except ApiError as refusal:
        raise BadRequest(refusal.message) from refusal


def _left_out(read: Read) -> str:
    shown = " ".join(read.lines())
    rest = read.problem_count - len(read.problems)
    more = f" And {rest} more." if rest else ""
    return f"{_counted(read.problem_count, 'line')} left out. {shown}{more}"


def _counted(count: int, noun: str) -> str:
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"
