from uuid import UUID

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from accounts.stepup import requires_step_up
from queensmtp.console import requires_right
from queensmtp.errors import ApiError
from queensmtp.pagination import Page, page, read_cursor, turns
from webhooks import actions, secret_actions
from webhooks.catalogue import CATALOGUE
from webhooks.forms import DeliveryFilterForm, EndpointForm, ResendForm, RotateForm, TestForm
from webhooks.models import Delivery, Endpoint, EndpointStatus, SigningSecret
from webhooks.verifying import SNIPPETS

SECTION = "webhooks"
ROWS = 25

form_page = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@requires_right(Right.WEBHOOKS_READ)
def webhook_list(request: ConsoleRequest) -> HttpResponse:
    endpoints = Endpoint.objects.standing().filter(account=request.account).order_by("-pk")
    return render(request, "webhooks/list.html", {"section": SECTION, "endpoints": endpoints})


@form_page
@requires_right(Right.WEBHOOKS_WRITE)
def webhook_create(request: ConsoleRequest) -> HttpResponse:
    form = EndpointForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            endpoint = actions.create_endpoint(
                by=request.actor,
                url=given["endpoint"],
                events=given["events"],
                is_ordered=given["ordered"],
            )
        except ApiError as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, "Added. Show its secret now and give it to your receiver.")
            return redirect("webhook_detail", webhook_id=endpoint.pk)
    return render(request, "webhooks/edit.html", {"section": SECTION, "form": form})


@require_safe
@requires_right(Right.WEBHOOKS_READ)
def webhook_detail(request: ConsoleRequest, webhook_id: UUID) -> HttpResponse:
    endpoint = get_endpoint(request, webhook_id)
    shown = _deliveries(request, endpoint)
    return render(
        request,
        "webhooks/detail.html",
        {
            "section": SECTION,
            "endpoint": endpoint,
            "filter_form": DeliveryFilterForm(request.GET),
            "status": request.GET.get("status", ""),
            "rows": shown.rows,
            **turns(shown, request.GET, by="event_id"),
            "outgoing": _outgoing_secrets(endpoint),
            "resend_form": ResendForm(),
            "test_form": TestForm(),
        },
    )


@form_page
@requires_right(Right.WEBHOOKS_WRITE)
def webhook_edit(request: ConsoleRequest, webhook_id: UUID) -> HttpResponse:
    endpoint = get_endpoint(request, webhook_id)
    form = EndpointForm(request.POST) if request.method == "POST" else EndpointForm.of(endpoint)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            actions.update_endpoint(
                by=request.actor,
                endpoint=endpoint,
                url=given["endpoint"],
                events=given["events"],
                is_ordered=given["ordered"],
            )
        except ApiError as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, "Saved.")
            return redirect("webhook_detail", webhook_id=endpoint.pk)
    context = {"section": SECTION, "form": form, "endpoint": endpoint}
    return render(request, "webhooks/edit.html", context)


@require_POST
@requires_right(Right.WEBHOOKS_WRITE)
def webhook_enable(request: ConsoleRequest, webhook_id: UUID) -> HttpResponse:
    return _set_status(request, webhook_id, EndpointStatus.ENABLED, "It is enabled again.")


@require_POST
@requires_right(Right.WEBHOOKS_WRITE)
def webhook_disable(request: ConsoleRequest, webhook_id: UUID) -> HttpResponse:
    done = "It is disabled. What waited is listed as failed and can be sent again later."
    return _set_status(request, webhook_id, EndpointStatus.DISABLED, done)


@form_page
@requires_right(Right.WEBHOOKS_WRITE)
def webhook_remove(request: ConsoleRequest, webhook_id: UUID) -> HttpResponse:
    endpoint = get_endpoint(request, webhook_id)
    if request.method == "POST":
        actions.remove_endpoint(by=request.actor, endpoint=endpoint)
        messages.success(request, f"{endpoint.shown_url} is removed.")
        return redirect("webhook_list")
    context = {"section": SECTION, "endpoint": endpoint}
    return render(request, "webhooks/remove.html", context)


@require_POST
@requires_right(Right.WEBHOOKS_WRITE)
@requires_step_up
def webhook_secret(request: ConsoleRequest, webhook_id: UUID) -> HttpResponse:
    endpoint = get_endpoint(request, webhook_id)
    secret = secret_actions.reveal(by=request.actor, endpoint=endpoint)
    context = {"section": SECTION, "endpoint": endpoint, "secret": secret}
    return render(request, "webhooks/secret.html", context)


@form_page
@requires_right(Right.WEBHOOKS_WRITE)
@requires_step_up
def webhook_rotate(request: ConsoleRequest, webhook_id: UUID) -> HttpResponse:
    endpoint = get_endpoint(request, webhook_id)
    form = RotateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        seconds = int(form.cleaned_data["overlap"])
        try:
            secret_actions.rotate(by=request.actor, endpoint=endpoint, overlap_seconds=seconds)
        except ApiError as refusal:
            form.add_error(None, refusal.message)
        else:
            messages.success(request, "It has a new secret. Show it and give it to your receiver.")
            return redirect("webhook_detail", webhook_id=endpoint.pk)
    context = {"section": SECTION, "endpoint": endpoint, "form": form}
    return render(request, "webhooks/rotate.html", context)


@require_safe
@requires_right(Right.WEBHOOKS_READ)
def webhook_types(request: ConsoleRequest) -> HttpResponse:
    context = {"section": SECTION, "types": list(CATALOGUE.values())}
    return render(request, "webhooks/types.html", context)


@require_safe
@requires_right(Right.WEBHOOKS_READ)
def webhook_verify(request: ConsoleRequest) -> HttpResponse:
    return render(request, "webhooks/verify.html", {"section": SECTION, "snippets": SNIPPETS})


def get_endpoint(request: ConsoleRequest, webhook_id: UUID) -> Endpoint:
    return get_object_or_404(Endpoint.objects.standing(), account=request.account, pk=webhook_id)


def _set_status(
    request: ConsoleRequest, webhook_id: UUID, status: EndpointStatus, done: str
) -> HttpResponse:
    endpoint = get_endpoint(request, webhook_id)
    actions.update_endpoint(by=request.actor, endpoint=endpoint, status=status)
    messages.success(request, done)
    return redirect("webhook_detail", webhook_id=endpoint.pk)


def _deliveries(request: ConsoleRequest, endpoint: Endpoint) -> Page[Delivery]:
    rows = Delivery.objects.filter(account_id=endpoint.account_id, endpoint=endpoint).defer("body")
    form = DeliveryFilterForm(request.GET)
    if form.is_valid() and form.cleaned_data["status"]:
        rows = rows.with_status(form.cleaned_data["status"])
    try:
        return page(rows, read_cursor(request.GET, default_limit=ROWS), by="event_id")
    except ApiError as refusal:
        raise BadRequest(refusal.message) from refusal


def _outgoing_secrets(endpoint: Endpoint) -> list[SigningSecret]:
    """Old ones that still sign beside the current one."""
    return [
        row
        for row in secret_actions.signing_for(endpoint.account_id, endpoint, now=timezone.now())
        if row.expires_at is not None
    ]
