"""The page of the streams to other people's SIEMs."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from auditlog import streaming
from auditlog.forms import StreamForm
from auditlog.models import Head, Stream
from queensmtp.console import SeatedRequest, requires_confirmation, requires_right
from queensmtp.errors import ApiError

SECTION = "audit"


@require_http_methods(["GET", "HEAD", "POST"])
@requires_right("account:write")
@requires_confirmation
def audit_streams(request: SeatedRequest) -> HttpResponse:
    form = StreamForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid() and _create(request, form):
        return redirect("audit_streams")
    account_id = request.actor.tenant_id
    return render(
        request,
        "auditlog/streams.html",
        {
            "section": SECTION,
            "form": form,
            "streams": Stream.objects.filter(account_id=account_id).order_by("id"),
            "head": Head.objects.filter(account_id=account_id).first(),
        },
        status=422 if form.errors else 200,
    )


def _create(request: SeatedRequest, form: StreamForm) -> bool:
    try:
        streaming.create(by=request.actor, chosen=streaming.Chosen(**form.cleaned_data))
    except ApiError as refusal:
        for problem in refusal.errors:
            field = problem.field if problem.field in form.fields else None
            form.add_error(field, f"{problem.message[:1].upper()}{problem.message[1:]}")
        return False
    messages.success(request, "The stream begins within seconds.")
    return True


@require_POST
@requires_right("account:write")
@requires_confirmation
def audit_switch_stream(request: SeatedRequest, stream_id: UUID) -> HttpResponse:
    stream = _stream(request, stream_id)
    streaming.switch(by=request.actor, stream=stream, is_enabled=not stream.is_enabled)
    return redirect("audit_streams")


@require_POST
@requires_right("account:write")
@requires_confirmation
def audit_remove_stream(request: SeatedRequest, stream_id: UUID) -> HttpResponse:
    streaming.remove(by=request.actor, stream=_stream(request, stream_id))
    messages.success(request, "The stream is removed.")
    return redirect("audit_streams")


def _stream(request: SeatedRequest, stream_id: UUID) -> Stream:
    found = Stream.objects.filter(account_id=request.actor.tenant_id, pk=stream_id).first()
    if found is None:
        raise Http404("There is no such stream.")
    return found
