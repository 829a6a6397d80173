"""The console's page of the queue: what waits, what is held back, which domains warm up."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from domains.models import Domain
from queensmtp.console import requires_right
from queensmtp.errors import ApiError
from sending import content_retention, holds, warmup
from sending.forms import ContentDaysForm, HoldForm
from sending.models import Hold, HoldKind, Warmup

SECTION = "queue"
COUNTED = 10_000
DESTINATIONS_SHOWN = 10


@require_safe
@requires_right(Right.MESSAGES_READ)
def queue_page(request: ConsoleRequest) -> HttpResponse:
    return _page(request, HoldForm())


@require_POST
@requires_right(Right.ACCOUNT_WRITE)
def hold(request: ConsoleRequest) -> HttpResponse:
    form = HoldForm(request.POST)
    if form.is_valid():
        try:
            made = holds.hold(
                by=request.actor,
                kind=HoldKind(form.cleaned_data["kind"]),
                name=form.cleaned_data["name"],
                reason=form.cleaned_data["reason"],
            )
        except ApiError as refusal:
            form.add_error("name", refusal.message)
        else:
            messages.success(request, f"Held back: {made.words}. Nothing of it leaves any more.")
            return redirect("queue")
    return _page(request, form, status=422)


@require_POST
@requires_right(Right.ACCOUNT_WRITE)
def let_go(request: ConsoleRequest, hold_id: UUID) -> HttpResponse:
    found = get_object_or_404(Hold, pk=hold_id, account=request.account)
    holds.let_go(by=request.actor, hold=found)
    messages.success(request, f"Let go: {found.words}. What waited is on its way.")
    return redirect("queue")


@require_POST
@requires_right(Right.ACCOUNT_WRITE)
def begin_warm_up(request: ConsoleRequest) -> HttpResponse:
    domain = get_object_or_404(
        Domain.objects.filter(account=request.account), name=request.POST.get("domain", "")
    )
    holds.warm_up(by=request.actor, domain=domain, now=timezone.now())
    messages.success(request, f"{domain.name} sends up to {warmup.FIRST_DAY_LIMIT} messages today.")
    return redirect("queue")


@require_POST
@requires_right(Right.ACCOUNT_WRITE)
def end_warm_up(request: ConsoleRequest, domain_id: UUID) -> HttpResponse:
    domain = get_object_or_404(Domain, pk=domain_id, account=request.account)
    holds.end_warm_up(by=request.actor, domain=domain)
    messages.success(request, f"{domain.name} sends without a daily limit.")
    return redirect("queue")


@require_POST
@requires_right(Right.ACCOUNT_WRITE)
def keep_contents(request: ConsoleRequest) -> HttpResponse:
    form = ContentDaysForm(request.POST)
    if not form.is_valid():
        return _page(request, HoldForm(), days_form=form, status=422)
    days = form.cleaned_data["days"]
    content_retention.keep_for(by=request.actor, days=days)
    messages.success(request, f"Contents are kept for {days} day{'' if days == 1 else 's'}.")
    return redirect("queue")


def _page(
    request: ConsoleRequest,
    form: HoldForm,
    *,
    days_form: ContentDaysForm | None = None,
    status: int = 200,
) -> HttpResponse:
    account_id, today = request.account.pk, timezone.now().date()
    content_days = content_retention.days_of(account_id)
    counts = holds.waiting_counts(account_id, limit=COUNTED)
    warmups = Warmup.objects.filter(account_id=account_id).select_related("domain")
    domains = Domain.objects.verified().filter(account_id=account_id)
    context = {
        "section": SECTION,
        "form": form,
        "content_days": content_days,
        "days_form": days_form or ContentDaysForm(initial={"days": content_days}),
        "counts": counts,
        "total": sum(counts.values()),
        "is_bounded": sum(counts.values()) >= COUNTED,
        "counted": COUNTED,
        "destinations": holds.destinations_of(account_id, limit=COUNTED, most=DESTINATIONS_SHOWN),
        "holds": Hold.objects.filter(account_id=account_id).order_by("-id"),
        "warmups": [(one, warmup.limit_on(today, started_on=one.started_on)) for one in warmups],
        "first_limit": warmup.FIRST_DAY_LIMIT,
        "days": warmup.DAYS,
        "cold": domains.exclude(pk__in=warmups.values("domain_id")).order_by("name")[:200],
    }
    return render(request, "sending/queue.html", context, status=status)
