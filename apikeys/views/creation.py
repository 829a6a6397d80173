"""Form, then summary, then the key: three steps, each a plain form."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from accounts.stepup import requires_step_up
from apikeys import actions, allowlist, tickets
from apikeys.forms.keys import KeyForm
from apikeys.tokens import Environment
from apikeys.views.keys import SECTION
from apikeys.views.reveal import already_made, reveal
from queensmtp.console import requires_right


@require_http_methods(["GET", "HEAD", "POST"])
@requires_right(Right.KEYS_WRITE)
@requires_step_up
def key_create(request: ConsoleRequest) -> HttpResponse:
    if request.method != "POST":
        return _form_page(request, KeyForm())
    form = KeyForm(request.POST)
    step = request.POST.get("step")
    if step == "edit" or not form.is_valid():
        return _form_page(request, form)
    if step != "create":
        return _summary_page(request, form)
    if not tickets.redeem(request):
        return already_made(request)
    key, token = actions.create(
        by=request.actor,
        name=form.cleaned_data["name"],
        environment=Environment(form.cleaned_data["environment"]),
        rights=form.rights,
        labels=form.read_labels,
        notes=form.cleaned_data["notes"],
        is_decoy=form.cleaned_data["is_decoy"],
    )
    return reveal(request, key, token)


def _form_page(request: ConsoleRequest, form: KeyForm) -> HttpResponse:
    context = {"section": SECTION, "form": form, "own_address": request.actor.origin.ip}
    return render(request, "apikeys/create.html", context)


def _summary_page(request: ConsoleRequest, form: KeyForm) -> HttpResponse:
    own_address = request.actor.origin.ip
    cidrs = form.rights.allowed_cidrs
    return render(
        request,
        "apikeys/summary.html",
        {
            "section": SECTION,
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
