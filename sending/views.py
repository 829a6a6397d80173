from django.conf import settings
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from domains.models import Domain
from queensmtp.console import requires_right
from sending import message_rows, onboarding, usage
from sending.message_rows import Row
from sending.models import Message
from sending.usage import KeyUse

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
            "account_uses": usage.limited(request.account),
            "key_uses": _key_uses(request),
            "send": how_to_send(request),
        },
    )


@require_POST
@requires_right(Right.HOME_READ)
def dismiss_welcome(request: ConsoleRequest) -> HttpResponse:
    onboarding.dismiss(request)
    return redirect("console_home")


def _key_uses(request: ConsoleRequest) -> list[KeyUse]:
    if request.membership is None or not request.membership.has(Right.KEYS_READ):
        return []
    return usage.of_keys(request.account.pk)


def _newest(request: ConsoleRequest) -> list[Row]:
    if request.membership is None or not request.membership.has(Right.MESSAGES_READ):
        return []
    newest = Message.objects.filter(account=request.account).defer("content").order_by("-pk")
    return message_rows.of(newest[:NEWEST])


def how_to_send(request: ConsoleRequest) -> dict[str, str]:
    """What the ready-made command needs to work when it is pasted."""
    domain = Domain.objects.filter(account=request.account).verified().first()
    return {
        "api_url": f"{settings.CONSOLE_URL}/v1",
        "ca_file": settings.LOCAL_CA_FILE if settings.MODE == "embedded" else "",
        "domain": domain.name if domain else "your-domain.example",
    }
