from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from accounts.stepup import requires_step_up
from domains import actions, names, records, rotation, serializers, tables
from domains.forms import AddForm, RemoveForm, RotateForm, SettingsForm, attempt
from domains.models import Domain, SenderIdentity
from queensmtp.console import requires_right

SHOWN_AT_MOST = 500

form_page = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@requires_right(Right.DOMAINS_READ)
def domain_list(request: ConsoleRequest) -> HttpResponse:
    rows = Domain.objects.standing().filter(account=request.account).order_by("name")
    senders = SenderIdentity.objects.filter(account=request.account).count()
    context = {"section": "domains", "rows": rows[:SHOWN_AT_MOST], "sender_count": senders}
    return render(request, "domains/list.html", context)


@form_page
@requires_right(Right.DOMAINS_WRITE)
def domain_add(request: ConsoleRequest) -> HttpResponse:
    form = AddForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        domain = attempt(form, lambda: _add(request, form))
        if domain is not None:
            return redirect("domain_detail", domain_id=domain.pk)
    return render(request, "domains/add.html", {"section": "domains", "form": form})


@require_safe
@requires_right(Right.DOMAINS_READ)
def domain_detail(request: ConsoleRequest, domain_id: UUID) -> HttpResponse:
    domain = _domain(request, domain_id)
    context = {"section": "domains", "domain": domain, **tables.of(domain)}
    return render(request, "domains/detail.html", context)


@require_POST
@requires_right(Right.DOMAINS_WRITE)
def domain_verify(request: ConsoleRequest, domain_id: UUID) -> HttpResponse:
    actions.request_check(by=request.actor, domain=_domain(request, domain_id))
    return redirect("domain_detail", domain_id=domain_id)


@require_safe
@requires_right(Right.DOMAINS_READ)
def domain_zone(request: ConsoleRequest, domain_id: UUID) -> HttpResponse:
    """The records as a file that DNS providers import."""
    domain = _domain(request, domain_id)
    zone = names.organisational_domain(domain.name)
    text = records.zone_file(zone, domain.to_publish())
    response = HttpResponse(text, content_type="text/plain; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{domain.name}.zone"'
    return response


@form_page
@requires_right(Right.DOMAINS_WRITE)
def domain_settings(request: ConsoleRequest, domain_id: UUID) -> HttpResponse:
    domain = _domain(request, domain_id)
    initial = {name: getattr(domain, name) for name in SettingsForm.base_fields}
    form = SettingsForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        changed = attempt(form, lambda: _change(request, domain, form))
        if changed is not None:
            messages.success(request, f"The settings of {domain.name} are saved.")
            return redirect("domain_detail", domain_id=domain.pk)
    context = {"section": "domains", "domain": domain, "form": form}
    return render(request, "domains/settings.html", context)


@form_page
@requires_right(Right.DOMAINS_WRITE)
@requires_step_up
def domain_rotate(request: ConsoleRequest, domain_id: UUID) -> HttpResponse:
    domain = _domain(request, domain_id)
    form = RotateForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        keys = attempt(form, lambda: _rotate(request, domain, form))
        if keys is not None:
            messages.success(request, "Publish the two new DKIM records; they are in the table.")
            return redirect("domain_detail", domain_id=domain.pk)
    context = {"section": "domains", "domain": domain, "form": form}
    return render(request, "domains/rotate.html", context)


@require_POST
@requires_right(Right.DOMAINS_WRITE)
def domain_withdraw(request: ConsoleRequest, domain_id: UUID) -> HttpResponse:
    rotation.withdraw(by=request.actor, domain=_domain(request, domain_id))
    messages.success(request, "The new DKIM keys are withdrawn; the present ones go on.")
    return redirect("domain_detail", domain_id=domain_id)


@form_page
@requires_right(Right.DOMAINS_WRITE)
@requires_step_up
def domain_remove(request: ConsoleRequest, domain_id: UUID) -> HttpResponse:
    domain = _domain(request, domain_id)
    form = RemoveForm(request.POST or None, domain=domain)
    if request.method == "POST" and form.is_valid():
        actions.remove(by=request.actor, domain=domain)
        messages.success(request, f"{domain.name} is removed. It sends nothing any more.")
        return redirect("domain_list")
    context = {"section": "domains", "domain": domain, "form": form}
    return render(request, "domains/remove.html", context)


def _domain(request: ConsoleRequest, domain_id: UUID) -> Domain:
    own = Domain.objects.standing().filter(account=request.account)
    return get_object_or_404(own.prefetch_related("dkim_keys"), pk=domain_id)


def _add(request: ConsoleRequest, form: AddForm) -> Domain:
    name, settings = serializers.read_create(form.body())
    return actions.create(by=request.actor, name=name, settings=settings)


def _change(request: ConsoleRequest, domain: Domain, form: SettingsForm) -> Domain:
    changes = serializers.read_changes(form.body())
    serializers.refuse_tracking_on_return_path(changes, domain)
    return actions.update(by=request.actor, domain=domain, changes=changes)


def _rotate(request: ConsoleRequest, domain: Domain, form: RotateForm) -> object:
    selector, own = serializers.read_rotation(form.cleaned_data)
    return rotation.prepare(by=request.actor, domain=domain, selector=selector, own=own)
