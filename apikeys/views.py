from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from accounts.stepup import requires_step_up
from apikeys import actions, allowlist, tickets, usage
from apikeys.errors import AlreadyRotating, KeyIsDead, KeyRowChanged
from apikeys.forms import KeyForm, RevokeForm, RotateForm
from apikeys.models import ApiKey, KeyStatus
from apikeys.tokens import Environment, Token
from queensmtp.console import requires_right

SHOWN_AT_MOST = 200

form_page = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@requires_right(Right.KEYS_READ)
def key_list(request: ConsoleRequest) -> HttpResponse:
    keys = ApiKey.objects.filter(account=request.account).order_by("-pk")
    environment = request.GET.get("environment", "")
    if environment in list(Environment):
        keys = keys.filter(environment=environment)
    shows_dead = request.GET.get("state") == "all"
    if not shows_dead:
        keys = keys.live(timezone.now())
    return render(
        request,
        "apikeys/list.html",
        {
            "section": "keys",
            "rows": _with_uses(request, list(keys[:SHOWN_AT_MOST])),
            "has_any": ApiKey.objects.filter(account=request.account).exists(),
            "environments": [one.value for one in Environment],
            "environment": environment,
            "shows_dead": shows_dead,
        },
    )


@form_page
@requires_right(Right.KEYS_WRITE)
@requires_step_up
def key_create(request: ConsoleRequest) -> HttpResponse:
    """Form, then summary, then the key: three steps, each a plain form."""
    if request.method != "POST":
        return _form_page(request, KeyForm())
    form = KeyForm(request.POST)
    step = request.POST.get("step")
    if step == "edit" or not form.is_valid():
        return _form_page(request, form)
    if step != "create":
        return _summary_page(request, form)
    if not tickets.redeem(request):
        return _already_made(request)
    key, token = actions.create(
        by=request.actor,
        name=form.cleaned_data["name"],
        environment=Environment(form.cleaned_data["environment"]),
        rights=form.rights,
        labels=form.read_labels,
        notes=form.cleaned_data["notes"],
    )
    return _reveal(request, key, token)


@require_safe
@requires_right(Right.KEYS_READ)
def key_detail(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = _key(request, key_id)
    return render(
        request,
        "apikeys/detail.html",
        {
            "section": "keys",
            "key": key,
            "last_use": _last_use(key),
            "predecessor": _find(request, key.replaces_id),
            "successor": _find(request, key.replaced_by_id),
            "is_rotating": key.status() == KeyStatus.ROTATING,
            "revoke_form": RevokeForm(key=key),
        },
    )


@form_page
@requires_right(Right.KEYS_WRITE)
@requires_step_up
def key_rotate(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = _key(request, key_id)
    form = RotateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if not tickets.redeem(request):
            return _already_made(request)
        try:
            successor, token = actions.rotate(
                by=request.actor, key=key, overlap_seconds=form.overlap_seconds
            )
        except (AlreadyRotating, KeyIsDead, KeyRowChanged) as refusal:
            form.add_error(None, refusal.message)
        else:
            return _reveal(request, successor, token, predecessor=_key(request, key_id))
    ticket = tickets.issue(request)
    context = {
        "section": "keys",
        "key": key,
        "form": form,
        "ticket": ticket,
        "last_use": _last_use(key),
    }
    return render(request, "apikeys/rotate.html", context)


@require_POST
@requires_right(Right.KEYS_WRITE)
@requires_step_up
def key_end_overlap(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = actions.end_overlap(by=request.actor, key=_key(request, key_id))
    messages.success(request, f"The overlap has ended: {key.name} ({key.masked}) is dead.")
    return redirect("key_detail", key_id=key.pk)


@form_page
@requires_right(Right.KEYS_WRITE)
@requires_step_up
def key_revoke(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = _key(request, key_id)
    form = RevokeForm(request.POST or None, key=key)
    if request.method == "POST" and form.is_valid():
        actions.revoke(by=request.actor, key=key, reason=form.cleaned_data["reason"])
        messages.success(request, f"{key.name} is revoked. It stopped working at once.")
        return redirect("key_detail", key_id=key.pk)
    context = {"section": "keys", "key": key, "form": form, "last_use": _last_use(key)}
    return render(request, "apikeys/revoke.html", context)


def _key(request: ConsoleRequest, key_id: UUID) -> ApiKey:
    return get_object_or_404(ApiKey, account=request.account, pk=key_id)


def _find(request: ConsoleRequest, key_id: UUID | None) -> ApiKey | None:
    if key_id is None:
        return None
    return ApiKey.objects.filter(account=request.account, pk=key_id).first()


def _with_uses(
    request: ConsoleRequest, keys: Sequence[ApiKey]
) -> list[tuple[ApiKey, usage.Use | None]]:
    uses = usage.last_uses(request.account.pk, [key.pk for key in keys])
    return [(key, uses.get(key.pk)) for key in keys]


def _last_use(key: ApiKey) -> usage.Use | None:
    return usage.last_uses(key.account_id, [key.pk]).get(key.pk)


def _form_page(request: ConsoleRequest, form: KeyForm) -> HttpResponse:
    context = {"section": "keys", "form": form, "own_address": request.actor.origin.ip}
    return render(request, "apikeys/create.html", context)


def _summary_page(request: ConsoleRequest, form: KeyForm) -> HttpResponse:
    own_address = request.actor.origin.ip
    cidrs = form.rights.allowed_cidrs
    return render(
        request,
        "apikeys/summary.html",
        {
            "section": "keys",
            "form": form,
            "key_rights": form.rights,
            "key_labels": form.read_labels,
            "answers": _answers(request),
            "own_address": own_address,
            "locks_out": cidrs is not None and not allowlist.allows(cidrs, own_address),
            "ticket": tickets.issue(request),
        },
    )


def _answers(request: HttpRequest) -> list[tuple[str, str]]:
    """What was filled in, to be carried through the summary as hidden fields."""
    return [(name, value) for name in KeyForm.base_fields for value in request.POST.getlist(name)]


def _reveal(
    request: ConsoleRequest, key: ApiKey, token: Token, predecessor: ApiKey | None = None
) -> HttpResponse:
    """The one page that shows a token. It is an answer to a POST and is never stored anywhere."""
    context: dict[str, Any] = {
        "section": "keys",
        "key": key,
        "token": token.text,
        "predecessor": predecessor,
        "api_url": f"{settings.CONSOLE_URL}/v1",
        # The embedded platform signs its own certificate, which curl must be shown.
        "ca_file": settings.LOCAL_CA_FILE if settings.MODE == "embedded" else "",
    }
    response = render(request, "apikeys/created.html", context)
    response.headers["Cache-Control"] = "no-store, private"
    return response


def _already_made(request: HttpRequest) -> HttpResponse:
    messages.warning(
        cast(ConsoleRequest, request),
        "This form made its key already. A token is shown once and never again: "
        "if you did not keep it, rotate the key.",
    )
    return redirect("key_list")
