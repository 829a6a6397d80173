import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import template
from django.http import QueryDict
from django.templatetags.static import static
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

register = template.Library()

TONES = {
    "active": "good",
    "allowed": "good",
    "delivered": "good",
    "sent": "good",
    "opened": "good",
    "clicked": "good",
    "verified": "good",
    "sealed": "good",
    "enabled": "good",
    "success": "good",
    "attempting": "warn",
    "disabled": "bad",
    "ready": "good",
    "running": "notice",
    "rotating": "notice",
    "queued": "notice",
    "sending": "notice",
    "scheduled": "notice",
    "pending": "notice",
    "partially_verified": "notice",
    "partially_failed": "warn",
    "temporary_failure": "warn",
    "deferred": "warn",
    "delivery_delayed": "warn",
    "in_doubt": "warn",
    "suppressed": "warn",
    "expired": "warn",
    "idle": "warn",
    "learning": "notice",
    "decoy": "warn",
    "used up": "bad",
    "refused": "bad",
    "failed": "bad",
    "bounced": "bad",
    "complained": "bad",
    "bounce": "bad",
    "complaint": "bad",
    "unsubscribe": "warn",
    "manual": "notice",
    "revoked": "bad",
    "production": "production",
    "staging": "staging",
    "development": "development",
}
ICONS = {
    "good": "circle-check",
    "notice": "clock",
    "warn": "triangle-alert",
    "bad": "circle-x",
    "production": "rocket",
    "staging": "flask-conical",
    "development": "wrench",
    "plain": "circle-dot",
}


@register.simple_tag
def icon(name: str) -> SafeString:
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("icons.svg"),
        name,
    )


@register.simple_tag
def badge(state: str, label: str = "") -> SafeString:
    """A state as icon, word and colour, so that it never hangs on colour alone."""
    tone = TONES.get(state, "plain")
    return format_html(
        '<span class="badge" data-tone="{}">{}{}</span>',
        tone,
        icon(ICONS[tone]),
        label or state.replace("_", " "),
    )


@register.simple_tag
def when(moment: datetime | None, empty: str = "never") -> SafeString:
    """A time in the viewer's zone, with UTC in the machine-readable form and on hover."""
    if not moment:
        return format_html('<span class="quiet">{}</span>', empty)
    local = timezone.localtime(moment)
    utc = moment.astimezone(UTC)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        utc.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        utc.strftime("%Y-%m-%d %H:%M:%S UTC"),
        local.strftime("%d %b %Y, %H:%M:%S %Z"),
    )


@register.filter
def ago(moment: datetime) -> str:
    """How long a moment is past, in the largest units; for what is looked at while it happens."""
    if timezone.now() - moment < timedelta(minutes=1):
        return "just now"
    return f"{timesince(moment, depth=1)} ago"


@register.simple_tag
def query_with(query: QueryDict, **changes: Any) -> str:
    """The page's own query string with some names set, or dropped when set to None."""
    changed = query.copy()
    for name, value in changes.items():
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = str(value)
    return "?" + changed.urlencode()


@register.simple_tag
def query_without(query: QueryDict, name: str, value: str) -> str:
    """The page's own query string without one filter and without the cursors."""
    kept = [
        (key, item)
        for key, items in query.lists()
        for item in items
        if key not in ("after", "before") and (key, item) != (name, value)
    ]
    return "?" + urlencode(kept)


@register.filter
def pretty(value: Any) -> str:
    """A recorded value as a person reads it."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value or "empty"
    return json.dumps(value, ensure_ascii=False, indent=2)
