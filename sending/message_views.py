"""One message in the console, and what can be done to it."""

from secrets import token_urlsafe
from uuid import UUID

from django.contrib import messages
from django.core import signing
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from apikeys.models import ApiKey
from auditlog import actions as audit
from queensmtp.actors import Target
from queensmtp.console import requires_right
from queensmtp.errors import ApiError
from sending import message_rows, message_tables, preview, resending, scheduling, timeline
from sending.audit import Event
from sending.models import DeliveryEvent, Message, MessageQuerySet
from sending.serializers import content_of
from sending.states import CANCELABLE, State

SECTION = "messages"
RECIPIENTS_SHOWN = 100
TABS = ("preview", "text", "html", "headers", "raw")
# How long a preview frame may load after the page around it was opened, and the opening recorded.
OPENED_SECONDS = 600
OPENED_SALT = "sending.contents"


@require_safe
@requires_right(Right.MESSAGES_READ)
def message_detail(request: ConsoleRequest, message_id: UUID) -> HttpResponse:
    message = _message(request, message_id)
    recipients = list(message.recipients.order_by("pk")[:RECIPIENTS_SHOWN])
    events = DeliveryEvent.objects.filter(account=request.account, message=message).order_by("pk")
    return render(
        request,
        "sending/detail.html",
        {
            "section": SECTION,
            "message": message,
            "recipients": recipients,
            "status": message_rows.status_of(recipients),
            "steps": timeline.steps(message, recipients, events),
            "key": _key_of(request, message),
            "can_cancel": any(State(one.state) in CANCELABLE for one in recipients),
            "can_resend": message.content is not None,
            "newer": _messages(request).filter(pk__gt=message_id).order_by("pk").only("pk").first(),
            "older": _messages(request)
            .filter(pk__lt=message_id)
            .order_by("-pk")
            .only("pk")
            .first(),
        },
    )


@requires_right(Right.MESSAGES_WRITE)
def message_cancel(request: ConsoleRequest, message_id: UUID) -> HttpResponse:
    """A page that asks, and the form on it."""
    message = _message(request, message_id)
    if request.method != "POST":
        return _ask(request, message, "cancel")
    try:
        scheduling.cancel(by=request.actor, message=message)
    except ApiError as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, "Canceled. What had left before is not affected.")
    return redirect("message_detail", message_id=message_id)


@requires_right(Right.MESSAGES_WRITE)
def message_resend(request: ConsoleRequest, message_id: UUID) -> HttpResponse:
    """A page that asks, and the form on it."""
    message = _message(request, message_id)
    if request.method != "POST":
        return _ask(request, message, "resend")
    try:
        copy = resending.resend(by=request.actor, message=message)
    except ApiError as refusal:
        messages.error(request, refusal.message)
        return redirect("message_detail", message_id=message_id)
    messages.success(request, "Sent again, as a message of its own: this one.")
    return redirect("message_detail", message_id=copy.pk)


@require_safe
@requires_right(Right.BODIES_READ)
def message_contents(request: ConsoleRequest, message_id: UUID) -> HttpResponse:
    """The bodies. Opening them is recorded, each time."""
    message = _message(request, message_id)
    contents = content_of(message)
    shown = request.GET.get("show", "preview" if contents and contents.html else "text")
    if shown not in TABS:
        raise Http404("There is no such view of the contents.")
    audit.record(
        by=request.actor,
        event=Event.CONTENT_OPENED,
        target=Target(type="email", id=str(message.pk), label=message.subject[:200]),
    )
    opened = signing.dumps([str(message.pk), str(request.user.pk)], salt=OPENED_SALT)
    return render(
        request,
        "sending/contents.html",
        {
            "section": SECTION,
            "message": message,
            "contents": contents,
            "tabs": TABS,
            "shown": shown,
            "raw": message_tables.raw_of(message) if shown in ("raw", "headers") else "",
            "opened": opened,
        },
    )


@require_safe
@xframe_options_sameorigin
@requires_right(Right.BODIES_READ)
def message_preview(request: ConsoleRequest, message_id: UUID) -> HttpResponse:
    """The HTML body for the sandboxed frame, and only from a page whose opening was recorded."""
    message = _message(request, message_id)
    if not _was_opened(request, message_id):
        return redirect("message_contents", message_id=message_id)
    contents = content_of(message)
    if contents is None or contents.html is None:
        raise Http404("This message has no HTML body.")
    nonce = token_urlsafe(16)
    response = HttpResponse(preview.page(contents.html, nonce=nonce))
    response.headers["Content-Security-Policy"] = (
        f"sandbox; default-src 'none'; img-src data:; style-src 'nonce-{nonce}';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
    return response


def _ask(request: ConsoleRequest, message: Message, what: str) -> HttpResponse:
    recipients = list(message.recipients.order_by("pk"))
    waiting = [one for one in recipients if State(one.state) in CANCELABLE]
    context = {
        "section": SECTION,
        "message": message,
        "affected": waiting if what == "cancel" else recipients,
    }
    return render(request, f"sending/{what}.html", context)


def _messages(request: ConsoleRequest) -> MessageQuerySet:
    return Message.objects.filter(account=request.account)


def _message(request: ConsoleRequest, message_id: UUID) -> Message:
    return get_object_or_404(Message, account=request.account, pk=message_id)


def _key_of(request: ConsoleRequest, message: Message) -> ApiKey | None:
    if message.key_id is None:
        return None
    return ApiKey.objects.filter(account=request.account, pk=message.key_id).first()


def _was_opened(request: ConsoleRequest, message_id: UUID) -> bool:
    try:
        opened = signing.loads(
            request.GET.get("opened", ""), salt=OPENED_SALT, max_age=OPENED_SECONDS
        )
    except signing.BadSignature:
        return False
    return bool(opened == [str(message_id), str(request.user.pk)])
