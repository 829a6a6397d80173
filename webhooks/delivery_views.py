"""Pages of what was sent: one delivery whole, sent again, and its signature checked."""

from uuid import UUID

import orjson
from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from queensmtp.console import requires_right
from queensmtp.errors import ApiError
from webhooks import replays, signing, signing_secrets
from webhooks.forms import ResendForm, SignatureForm, TestForm
from webhooks.models import Attempt, Delivery, Endpoint
from webhooks.views import SECTION, get_endpoint

ATTEMPTS_SHOWN = 50


@require_http_methods(["GET", "HEAD", "POST"])
@requires_right(Right.WEBHOOKS_READ)
def webhook_delivery(request: ConsoleRequest, webhook_id: UUID, event_id: UUID) -> HttpResponse:
    """A POST checks a signature against what was sent; it changes nothing."""
    endpoint = get_endpoint(request, webhook_id)
    delivery = _delivery(endpoint, event_id)
    attempts = Attempt.objects.filter(account_id=endpoint.account_id, delivery_id=delivery.pk)
    form = SignatureForm(request.POST or None)
    is_checked = request.method == "POST" and form.is_valid()
    finding = _check(endpoint, delivery, form.cleaned_data["header"]) if is_checked else ""
    return render(
        request,
        "webhooks/delivery.html",
        {
            "section": SECTION,
            "endpoint": endpoint,
            "delivery": delivery,
            "attempts": attempts.order_by("-pk")[:ATTEMPTS_SHOWN],
            "body": _pretty(bytes(delivery.body)),
            "form": form,
            "is_checked": is_checked,
            "finding": finding,
        },
    )


@require_POST
@requires_right(Right.WEBHOOKS_WRITE)
def webhook_replay(request: ConsoleRequest, webhook_id: UUID, event_id: UUID) -> HttpResponse:
    endpoint = get_endpoint(request, webhook_id)
    delivery = _delivery(endpoint, event_id)
    try:
        replays.replay(by=request.actor, endpoint=endpoint, delivery=delivery)
    except ApiError as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, "It is sent again now, with the same id and the same bytes.")
    return redirect("webhook_delivery", webhook_id=endpoint.pk, event_id=event_id)


@require_POST
@requires_right(Right.WEBHOOKS_WRITE)
def webhook_resend_failed(request: ConsoleRequest, webhook_id: UUID) -> HttpResponse:
    endpoint, form = get_endpoint(request, webhook_id), ResendForm(request.POST)
    if form.is_valid():
        try:
            count, has_more = replays.replay_failed(
                by=request.actor, endpoint=endpoint, since=form.since
            )
        except ApiError as refusal:
            messages.error(request, refusal.message)
        else:
            more = " There are more; ask again for those." if has_more else ""
            messages.success(request, f"{count} failed deliveries are sent again.{more}")
    return redirect("webhook_detail", webhook_id=endpoint.pk)


@require_POST
@requires_right(Right.WEBHOOKS_WRITE)
def webhook_test(request: ConsoleRequest, webhook_id: UUID) -> HttpResponse:
    endpoint, form = get_endpoint(request, webhook_id), TestForm(request.POST)
    if form.is_valid():
        try:
            delivery = replays.send_test(
                by=request.actor, endpoint=endpoint, type=form.cleaned_data["type"]
            )
        except ApiError as refusal:
            messages.error(request, refusal.message)
        else:
            messages.success(request, "The test event is on its way. Reload to see what came back.")
            return redirect("webhook_delivery", webhook_id=endpoint.pk, event_id=delivery.event_id)
    return redirect("webhook_detail", webhook_id=endpoint.pk)


def _delivery(endpoint: Endpoint, event_id: UUID) -> Delivery:
    rows = Delivery.objects.filter(
        account_id=endpoint.account_id, endpoint=endpoint, event_id=event_id
    )
    found = rows.order_by("-pk").first()
    if found is None:
        raise Http404
    return found


def _check(endpoint: Endpoint, delivery: Delivery, header: str) -> str:
    """Empty when one of the secrets that sign now made this signature, whenever that was."""
    whose = (endpoint.account_id, endpoint.pk)
    secrets = signing_secrets.live_of_endpoints({whose}, now=timezone.now())[endpoint.pk]
    try:
        signing.verify(
            secrets=secrets,
            headers={signing.SIGNATURE_HEADER: header.strip()},
            body=bytes(delivery.body),
            tolerance_seconds=10 * 365 * 86_400,
        )
    except signing.VerificationError as error:
        return str(error)
    return ""


def _pretty(body: bytes) -> str:
    return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()
