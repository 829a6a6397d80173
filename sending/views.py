from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from secrets import token_urlsafe
from uuid import UUID

from django.conf import settings
from django.core import signing
from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_POST, require_safe

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from apikeys.models import ApiKey
from auditlog import actions as audit
from domains.models import Domain
from queensmtp.actors import Target
from queensmtp.console import requires_right
from queensmtp.errors import ApiError
from queensmtp.pagination import Page, page, read_cursor
from sending import onboarding, preview, timeline
from sending.audit import Event
from sending.forms import MessageFilterForm
from sending.models import DeliveryEvent, Message, MessageQuerySet, Recipient
from sending.serializers import content_of
from sending.states import State, last_event

SECTION = "messages"
ROWS = 50
NEWEST = 5
RECIPIENTS_SHOWN = 100
# How long a preview frame may load after the page around it was opened, and the opening recorded.
OPENED_SECONDS = 600
OPENED_SALT = "sending.contents"


@require_safe
@requires_right(Right.HOME_READ)
def home(request: ConsoleRequest) -> HttpResponse:
    steps = onboarding.steps_for(request)
    return render(
        request,
        "sending/home.html",
        {
            "section": "home",
            "steps": steps,
            "done_count": sum(step.is_done for step in steps),
            "is_welcome_shown": onboarding.is_shown(request, steps),
            "rows": _newest(request),
            "send": _how_to_send(request),
        },
    )


@require_POST
@requires_right(Right.HOME_READ)
def dismiss_welcome(request: ConsoleRequest) -> HttpResponse:
    onboarding.dismiss(request)
    return redirect("console_home")


@require_safe
@requires_right(Right.MESSAGES_READ)
def message_list(request: ConsoleRequest) -> HttpResponse:
    form = MessageFilterForm(request.GET)
    shown = _page(request, form)
    chips = form.chips()
    return render(
        request,
        "sending/list.html",
        {
            "section": SECTION,
            "form": form,
            "chips": chips,
            "rows": _rows(shown.rows),
            "older": _older(request, shown),
            "newer": _newer(request, shown),
            "send": _how_to_send(request),
        },
    )


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
            "status": _status(recipients),
            "steps": timeline.steps(message, recipients, events),
            "key": _key_of(request, message),
        },
    )


@require_safe
@requires_right(Right.BODIES_READ)
def message_contents(request: ConsoleRequest, message_id: UUID) -> HttpResponse:
    """The bodies. Opening them is recorded, each time."""
    message = _message(request, message_id)
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
            "contents": content_of(message),
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


def _newest(request: ConsoleRequest) -> list["Row"]:
    if request.membership is None or not request.membership.has(Right.MESSAGES_READ):
        return []
    return _rows(_messages(request).defer("content").order_by("-pk")[:NEWEST])


def _how_to_send(request: ConsoleRequest) -> dict[str, str]:
    """What the ready-made command needs to work when it is pasted."""
    domain = Domain.objects.filter(account=request.account).verified().first()
    return {
        "api_url": f"{settings.CONSOLE_URL}/v1",
        "ca_file": settings.LOCAL_CA_FILE if settings.MODE == "embedded" else "",
        "domain": domain.name if domain else "your-domain.example",
    }


@dataclass(frozen=True)
class Row:
    message: Message
    status: str
    first: str
    others_count: int


def _messages(request: ConsoleRequest) -> MessageQuerySet:
    return Message.objects.filter(account=request.account)


def _message(request: ConsoleRequest, message_id: UUID) -> Message:
    return get_object_or_404(Message, account=request.account, pk=message_id)


def _key_of(request: ConsoleRequest, message: Message) -> ApiKey | None:
    if message.key_id is None:
        return None
    return ApiKey.objects.filter(account=request.account, pk=message.key_id).first()


def _page(request: ConsoleRequest, form: MessageFilterForm) -> Page[Message]:
    messages = form.narrow(_messages(request)).defer("content")
    try:
        return page(messages, read_cursor(request.GET, default_limit=ROWS))
    except ApiError as refusal:
        raise BadRequest(refusal.message) from refusal


def _rows(messages: Iterable[Message]) -> list[Row]:
    messages, recipients = list(messages), defaultdict(list)
    for one in Recipient.objects.filter(message__in=[message.pk for message in messages]):
        recipients[one.message_id].append(one)
    return [_row(message, recipients[message.pk]) for message in messages]


def _row(message: Message, recipients: Sequence[Recipient]) -> Row:
    return Row(
        message=message,
        status=_status(recipients),
        first=message.to[0] if message.to else "",
        others_count=max(0, len(recipients) - 1),
    )


def _status(recipients: Sequence[Recipient]) -> str:
    return last_event(State(one.state) for one in recipients) if recipients else "queued"


def _older(request: ConsoleRequest, shown: Page[Message]) -> UUID | None:
    is_more = shown.has_more or "before" in request.GET
    return shown.rows[-1].pk if shown.rows and is_more else None


def _newer(request: ConsoleRequest, shown: Page[Message]) -> UUID | None:
    is_more = "after" in request.GET or ("before" in request.GET and shown.has_more)
    return shown.rows[0].pk if shown.rows and is_more else None


def _was_opened(request: ConsoleRequest, message_id: UUID) -> bool:
    try:
        opened = signing.loads(
            request.GET.get("opened", ""), salt=OPENED_SALT, max_age=OPENED_SECONDS
        )
    except signing.BadSignature:
        return False
    return bool(opened == [str(message_id), str(request.user.pk)])
