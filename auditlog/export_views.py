"""The pages of exports, retention and erasure."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from auditlog import actions, erasing, export_answers, exporting, qualifiers, retention
from auditlog.audit import Event
from auditlog.forms import DaysForm, ErasureForm, ExportForm
from auditlog.models import Checkpoint, Entry, Erasure, Export, Retention
from queensmtp.actors import Target
from queensmtp.console import SeatedRequest, requires_confirmation, requires_right
from queensmtp.errors import ApiError, NotFound

SECTION = "audit"
SHOWN_EXPORTS = 50


@require_http_methods(["GET", "HEAD", "POST"])
@requires_right("audit:export")
@requires_confirmation
def audit_exports(request: SeatedRequest) -> HttpResponse:
    """The exports of the account, and the form that asks for one."""
    asked = request.POST if request.method == "POST" else None
    form = ExportForm(asked, initial={"search": request.GET.get("search", "")})
    if asked is not None and form.is_valid() and _ask(request, form):
        return redirect("audit_exports")
    context = {"section": SECTION, "form": form, "most": exporting.UNFINISHED_MAX}
    return render(
        request,
        "auditlog/exports.html",
        {**context, **_newest(request)},
        status=422 if form.errors else 200,
    )


@require_safe
@requires_right("audit:export")
def audit_export_list(request: SeatedRequest) -> HttpResponse:
    """The piece of the page that changes while exports are written."""
    return render(request, "auditlog/_exports.html", _newest(request))


def _newest(request: SeatedRequest) -> dict[str, Any]:
    mine = Export.objects.filter(account_id=request.actor.tenant_id).order_by("-id")
    exports = list(mine[:SHOWN_EXPORTS])
    return {
        "exports": [(one, qualifiers.write(one.filters)) for one in exports],
        "is_working": any(one.is_unfinished for one in exports),
    }


def _ask(request: SeatedRequest, form: ExportForm) -> bool:
    said = form.cleaned_data
    try:
        exporting.request(
            by=request.actor,
            format=said["format"],
            query=qualifiers.read(said["search"]),
            with_proofs=said["proofs"],
        )
    except ApiError as refusal:
        form.add_error("search", _sentence(refusal))
        return False
    messages.success(request, "The export is queued. You may leave this page.")
    return True


@require_safe
@requires_right("audit:export")
@requires_confirmation
def audit_export_file(request: SeatedRequest, export_id: UUID) -> HttpResponse:
    export = _export(request, export_id)
    try:
        path = exporting.get_file(export, now=timezone.now())
    except NotFound as refusal:
        raise Http404(refusal.message) from refusal
    actions.record(
        by=request.actor,
        event=Event.EXPORT_DOWNLOADED,
        target=Target("audit_export", str(export.pk)),
    )
    return export_answers.file(export, path)


@require_safe
@requires_right("audit:export")
def audit_export_manifest(request: SeatedRequest, export_id: UUID) -> HttpResponse:
    return export_answers.manifest(_export(request, export_id))


@require_POST
@requires_right("audit:export")
def audit_export_cancel(request: SeatedRequest, export_id: UUID) -> HttpResponse:
    if exporting.cancel(by=request.actor, export=_export(request, export_id)):
        messages.success(request, "The export is canceled.")
    else:
        messages.info(request, "It was finished already.")
    return redirect("audit_exports")


@require_POST
@requires_right("audit:export")
@requires_confirmation
def audit_export_again(request: SeatedRequest, export_id: UUID) -> HttpResponse:
    old = _export(request, export_id)
    try:
        exporting.request(
            by=request.actor, format=old.format, query=old.filters, with_proofs=old.proofs
        )
    except ApiError as refusal:
        messages.error(request, _sentence(refusal))
    else:
        messages.success(request, "The export is queued again.")
    return redirect("audit_exports")


@require_http_methods(["GET", "HEAD", "POST"])
@requires_right("account:write")
@requires_confirmation
def audit_retention(request: SeatedRequest) -> HttpResponse:
    form = DaysForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            retention.choose_days(by=request.actor, days=form.cleaned_data["days"])
        except ApiError as refusal:
            form.add_error("days", _sentence(refusal))
        else:
            messages.success(request, "Entries are kept for longer from now on.")
            return redirect("audit_retention")
    return _retention_page(request, form, ErasureForm())


@require_POST
@requires_right("account:write")
@requires_confirmation
def audit_erase(request: SeatedRequest) -> HttpResponse:
    form = ErasureForm(request.POST)
    if form.is_valid():
        try:
            erasing.request(by=request.actor, query=qualifiers.read(form.cleaned_data["person"]))
        except ApiError as refusal:
            form.add_error("person", _sentence(refusal))
        else:
            messages.success(request, "The erasure is queued; it is done within a minute.")
            return redirect("audit_retention")
    return _retention_page(request, DaysForm(), form)


def _retention_page(
    request: SeatedRequest, days_form: DaysForm, erasure_form: ErasureForm
) -> HttpResponse:
    account_id = request.actor.tenant_id
    context: dict[str, Any] = {
        "section": SECTION,
        "form": days_form if days_form.is_bound else erasure_form,
        "days_form": days_form,
        "erasure_form": erasure_form,
        "days": retention.days_of(account_id),
        "retention": Retention.objects.filter(account_id=account_id).first(),
        "oldest": Entry.objects.of_account(account_id).order_by("id").first(),
        "published_count": Checkpoint.objects.filter(account_id=account_id).count(),
        "erasures": Erasure.objects.filter(account_id=account_id).order_by("-id")[:20],
    }
    wrong = days_form.errors or erasure_form.errors
    return render(request, "auditlog/retention.html", context, status=422 if wrong else 200)


def _export(request: SeatedRequest, export_id: UUID) -> Export:
    found = Export.objects.filter(account_id=request.actor.tenant_id, pk=export_id).first()
    if found is None:
        raise Http404("There is no such export.")
    return found


def _sentence(refusal: ApiError) -> str:
    return refusal.message[:1].upper() + refusal.message[1:]
