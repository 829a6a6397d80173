"""The list of keys and the page of one key."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.requests import ConsoleRequest
from accounts.roles import Right
from apikeys import observed, sparkline, usage
from apikeys.forms.endings import RevokeForm
from apikeys.models import ApiKey, KeyStatus
from apikeys.reasons import in_words
from apikeys.sparkline import Sparkline
from apikeys.tokens import Environment
from auditlog.models import Entry
from queensmtp.console import requires_right
from queensmtp.errors import ApiError
from queensmtp.pagination import Page, page, read_cursor, turns

SECTION = "keys"
ROWS = 50
REFUSALS_SHOWN = 5
CHARTED_DAYS = 30
IDLE_AFTER = timedelta(days=30)


@dataclass(frozen=True)
class Row:
    key: ApiKey
    last_use: usage.Use | None

    @property
    def is_idle(self) -> bool:
        """A live key that nobody used for long is a risk without a use."""
        used_at = self.last_use[0] if self.last_use else None
        newest = used_at or self.key.created_at
        is_wanted = not self.key.is_dead and not self.key.is_decoy
        return is_wanted and newest < timezone.now() - IDLE_AFTER


@require_safe
@requires_right(Right.KEYS_READ)
def key_list(request: ConsoleRequest) -> HttpResponse:
    keys = ApiKey.objects.filter(account=request.account)
    environment = request.GET.get("environment", "")
    if environment in list(Environment):
        keys = keys.filter(environment=environment)
    shows_dead = request.GET.get("state") == "all"
    if not shows_dead:
        keys = keys.live(timezone.now())
    shown = _page(request, keys)
    rows = _with_uses(request, shown.rows)
    return render(
        request,
        "apikeys/list.html",
        {
            "section": SECTION,
            "rows": rows,
            "idle_count": sum(row.is_idle for row in rows),
            "idle_days": IDLE_AFTER.days,
            "has_any": ApiKey.objects.filter(account=request.account).exists(),
            "environments": [one.value for one in Environment],
            "environment": environment,
            "shows_dead": shows_dead,
            **turns(shown, request.GET),
        },
    )


def _page(request: ConsoleRequest, keys: QuerySet[ApiKey]) -> Page[ApiKey]:
    try:
        return page(keys, read_cursor(request.GET, default_limit=ROWS))
    except ApiError as refusal:
        raise BadRequest(refusal.message) from refusal


@require_safe
@requires_right(Right.KEYS_READ)
def key_detail(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = get_key(request, key_id)
    return render(
        request,
        "apikeys/detail.html",
        {
            **meter(key),
            "section": SECTION,
            "predecessor": _find(key, key.replaces_id),
            "last_day": observed.last_day(key),
            "usage": _last_days(key),
            "refusals": refused(key, at_most=REFUSALS_SHOWN),
            "revoke_form": RevokeForm(key=key),
        },
    )


@require_safe
@requires_right(Right.KEYS_READ)
def key_meter(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    """The piece of a key's page that tells whether an old key is still used, by itself."""
    shown = meter(get_key(request, key_id))
    if shown["successor"] is None:
        raise Http404("This key was never rotated.")
    return render(request, "apikeys/_meter.html", shown)


def meter(key: ApiKey) -> dict[str, Any]:
    """Whether a rotated key has gone quiet: was it used since its successor came?"""
    used, successor = last_use(key), _find(key, key.replaced_by_id)
    used_at = used[0] if used else None
    is_quiet = used_at is None or successor is None or used_at < successor.created_at
    return {
        "key": key,
        "last_use": used,
        "successor": successor,
        "is_rotating": key.status() == KeyStatus.ROTATING,
        "is_quiet": is_quiet,
    }


def refused(key: ApiKey, *, at_most: int) -> list[tuple[Entry, str]]:
    """The newest refused and failed requests of a key, each with its reason in words."""
    return [
        (entry, in_words(entry.changes.get("reason", "")))
        for entry in observed.refusals(key, at_most=at_most)
    ]


def get_key(request: ConsoleRequest, key_id: UUID) -> ApiKey:
    """A key of the account that the person has chosen; 404 for anyone else's."""
    return get_object_or_404(ApiKey, account=request.account, pk=key_id)


def last_use(key: ApiKey) -> usage.Use | None:
    return usage.last_uses(key.account_id, [key.pk]).get(key.pk)


def _last_days(key: ApiKey) -> Sparkline:
    until = timezone.now().date()
    since = until - timedelta(days=CHARTED_DAYS - 1)
    counts = usage.by_day(key.pk, since=since, until=until)
    return sparkline.of_days(counts, since=since, until=until)


def _find(key: ApiKey, linked_id: UUID | None) -> ApiKey | None:
    """The key before or after this one in its chain of rotations."""
    if linked_id is None:
        return None
    return ApiKey.objects.filter(account_id=key.account_id, pk=linked_id).first()


def _with_uses(request: ConsoleRequest, keys: Sequence[ApiKey]) -> list[Row]:
    uses = usage.last_uses(request.account.pk, [key.pk for key in keys])
    return [Row(key, uses.get(key.pk)) for key in keys]
