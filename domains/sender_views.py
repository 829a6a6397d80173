from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from domains import senders, serializers
from domains.forms import SenderForm, attempt
from domains.models import Domain, SenderIdentity
from queensmtp.console import requires_right

SHOWN_AT_MOST = 500

form_page = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@requires_right(Right.DOMAINS_READ)
def sender_list(request: ConsoleRequest) -> HttpResponse:
    rows = SenderIdentity.objects.filter(account=request.account).select_related("domain")
    context = {
        "section": "domains",
        "rows": rows.order_by("email")[:SHOWN_AT_MOST],
        "has_domain": Domain.objects.filter(account=request.account).verified().exists(),
    }
    return render(request, "domains/senders.html", context)


@form_page
@requires_right(Right.DOMAINS_WRITE)
def sender_add(request: ConsoleRequest) -> HttpResponse:
    form = SenderForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        row = attempt(form, lambda: _add(request, form))
        if row is not None:
            messages.success(request, f"{row} is added.")
            return redirect("sender_list")
    return render(request, "domains/sender.html", {"section": "domains", "form": form})


@form_page
@requires_right(Right.DOMAINS_WRITE)
def sender_edit(request: ConsoleRequest, sender_id: UUID) -> HttpResponse:
    row = _sender(request, sender_id)
    initial = {name: getattr(row, name) for name in SenderForm.base_fields}
    form = SenderForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        changed = attempt(form, lambda: _change(request, row, form))
        if changed is not None:
            messages.success(request, f"{changed} is saved.")
            return redirect("sender_list")
    context = {"section": "domains", "form": form, "sender": row}
    return render(request, "domains/sender.html", context)


@require_POST
@requires_right(Right.DOMAINS_WRITE)
def sender_remove(request: ConsoleRequest, sender_id: UUID) -> HttpResponse:
    row = _sender(request, sender_id)
    senders.remove(by=request.actor, sender=row)
    messages.success(request, f"{row} is removed.")
    return redirect("sender_list")


def _sender(request: ConsoleRequest, sender_id: UUID) -> SenderIdentity:
    return get_object_or_404(SenderIdentity, account=request.account, pk=sender_id)


def _add(request: ConsoleRequest, form: SenderForm) -> SenderIdentity:
    given = serializers.read_sender(form.cleaned_data, is_new=True)
    return senders.create(by=request.actor, **given)


def _change(request: ConsoleRequest, row: SenderIdentity, form: SenderForm) -> SenderIdentity:
    changes = serializers.read_sender(form.cleaned_data, is_new=False)
    return senders.update(by=request.actor, sender=row, changes=changes)
