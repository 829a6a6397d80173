from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from auditlog import (
    alarms,
    merkle,
    proofs,
    qualifiers,
    range_check,
    retention,
    saving,
    search,
)
from auditlog.audit import sentence_for
from auditlog.filters import CURSOR_NAMES, Filters
from auditlog.forms import FilterForm, SaveViewForm
from auditlog.models import Entry, Head, Leaf, SavedView
from queensmtp.console import SeatedRequest, requires_right
from queensmtp.errors import ApiError
from queensmtp.pagination import Page, read_cursor, turns

SECTION = "audit"
ROWS = 50


@require_safe
@requires_right("audit:read")
def audit_list(request: SeatedRequest) -> HttpResponse:
    """The log, newest first. What is typed into the search box becomes filters in the address."""
    if "search" in request.GET:
        query = qualifiers.read(request.GET["search"])
        return redirect(f"{reverse('audit_list')}?{urlencode(query, doseq=True)}")
    return _list_page(request, is_verified=False)


@require_safe
@requires_right("audit:read")
def audit_verify(request: SeatedRequest) -> HttpResponse:
    """The same page, every entry of it verified."""
    return _list_page(request, is_verified=True)


def _list_page(request: SeatedRequest, *, is_verified: bool) -> HttpResponse:
    account_id = request.actor.tenant_id
    form = FilterForm(dict(request.GET.lists()))
    shown = _page(request, form.read(), account_id)
    indexes = Leaf.objects.indexes_of(account_id, (entry.id for entry in shown.rows))
    filters_in_url = {name: form.query[name] for name in form.query if name not in CURSOR_NAMES}
    return render(
        request,
        "auditlog/list.html",
        {
            "section": SECTION,
            "form": form,
            "rows": list(_rows(shown.rows, indexes)),
            **turns(shown, request.GET),
            "chips": _chips(form),
            "head": Head.objects.filter(account_id=account_id).first(),
            "days": retention.days_of(account_id),
            "unsigned_because": alarms.find_standing(account_id),
            "search": qualifiers.write(filters_in_url),
            "query": urlencode(filters_in_url, doseq=True),
            "page_query": request.GET.urlencode(),
            "views": SavedView.objects.filter(account_id=account_id)
            .seen_by(request.actor.id)
            .order_by("name", "id"),
            "person_id": request.actor.id,
            "is_verified": is_verified,
            "verdict": range_check.check(account_id, shown.rows, indexes) if is_verified else None,
        },
    )


@require_POST
@requires_right("audit:read")
def audit_save_view(request: SeatedRequest) -> HttpResponse:
    form = SaveViewForm(request.POST)
    query = parse_qs(request.POST.get("query", ""))
    if form.is_valid():
        try:
            saving.save(
                by=request.actor,
                name=form.cleaned_data["name"],
                query=query,
                is_shared=form.cleaned_data["is_shared"],
            )
        except ApiError as refusal:
            messages.error(request, refusal.message)
        else:
            messages.success(request, "The view is saved.")
    else:
        messages.error(request, "Give the view a name.")
    return redirect(f"{reverse('audit_list')}?{urlencode(query, doseq=True)}")


@require_POST
@requires_right("audit:read")
def audit_remove_view(request: SeatedRequest, view_id: UUID) -> HttpResponse:
    """Of one's own; a view that somebody shared is theirs to remove."""
    mine = SavedView.objects.filter(account_id=request.actor.tenant_id, owner_id=request.actor.id)
    view = mine.filter(pk=view_id).first()
    if view is None:
        raise Http404("There is no such view.")
    saving.remove(by=request.actor, view=view)
    messages.success(request, "The view is removed.")
    return redirect("audit_list")


@require_safe
@requires_right("audit:read")
def audit_entry(request: SeatedRequest, entry_id: UUID) -> HttpResponse:
    account_id = request.actor.tenant_id
    entry = Entry.objects.of_account(account_id).filter(id=entry_id).first()
    if entry is None:
        raise Http404("There is no such entry.")
    return render(
        request,
        "auditlog/entry.html",
        {
            "section": SECTION,
            "entry": entry,
            "sentence": sentence_for(entry),
            "changes": list(_changes(entry.changes)),
            "seal": _seal(account_id, entry),
        },
    )


@dataclass(frozen=True)
class Row:
    entry: Entry
    sentence: str
    leaf_index: int | None


@dataclass(frozen=True)
class Change:
    field: str
    before: Any
    after: Any
    is_plain: bool


@dataclass(frozen=True)
class Seal:
    """An entry's proof, worked out afresh for the page."""

    leaf_index: int
    size: int
    leaf_hash: str
    leaf_data: str
    root_hash: str
    hashes: list[str]
    note: str
    is_included: bool
    is_signed: bool


def _page(request: SeatedRequest, filters: Filters | None, account_id: UUID) -> Page[Entry]:
    """No filters that can be read: no rows, since a typo must never widen a search."""
    if filters is None:
        return Page(rows=[], has_more=False)
    try:
        return search.find(account_id, filters, read_cursor(request.GET, default_limit=ROWS))
    except ApiError as refusal:
        raise BadRequest(refusal.message) from refusal


def _rows(entries: Iterable[Entry], indexes: dict[UUID, int]) -> Iterable[Row]:
    for entry in entries:
        yield Row(entry=entry, sentence=sentence_for(entry), leaf_index=indexes.get(entry.id))


def _chips(form: FilterForm) -> list[tuple[str, str]]:
    return [
        (name, value)
        for name, values in form.query.items()
        for value in values
        if name not in ("after", "before", "limit")
    ]


def _changes(changes: dict[str, Any]) -> Iterable[Change]:
    for name, value in changes.items():
        if isinstance(value, dict) and set(value) == {"before", "after"}:
            yield Change(name, value["before"], value["after"], is_plain=False)
        else:
            yield Change(name, None, value, is_plain=True)


def _seal(account_id: UUID, entry: Entry) -> Seal | None:
    leaf = Leaf.objects.filter(account_id=account_id, entry_id=entry.id).first()
    if leaf is None:
        return None
    head = proofs.latest_checkpoint(account_id)
    proof = proofs.inclusion_proof(account_id, leaf=leaf, size=head.size)
    root = bytes(head.root)
    # The leaf is hashed again from what the page shows, not read from the tree.
    leaf_hash = merkle.leaf_hash(entry.leaf_data())
    return Seal(
        leaf_index=proof.leaf_index,
        size=proof.size,
        leaf_hash=proofs.encoded(leaf_hash),
        leaf_data=entry.leaf_data().decode(),
        root_hash=proofs.encoded(root),
        hashes=[proofs.encoded(one) for one in proof.hashes],
        note=head.note,
        is_included=merkle.verify_inclusion(
            leaf=leaf_hash,
            index=proof.leaf_index,
            size=proof.size,
            proof=proof.hashes,
            root=root,
        ),
        is_signed=range_check.is_signed(account_id, head),
    )
