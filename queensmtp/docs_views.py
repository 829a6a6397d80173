"""The documentation, rendered from docs/*.md as it lies in the checkout."""

import re
from functools import cache
from pathlib import Path

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.safestring import mark_safe
from markdown_it import MarkdownIt

FOLDER = Path(settings.BASE_DIR, "docs")
DECISIONS = "adr/"
TITLE = re.compile(r"^# (.+)$", re.MULTILINE)
# What is looked for first stands first; a page that is named nowhere stands under the last heading.
PARTS = {
    "Send mail": ("sending", "domains", "errors", "webhooks", "bounces", "delivery", "tracking"),
    "Keys": ("keys", "allowlists", "leaks"),
    "The audit log": ("auditlog", "audit-events"),
    "Run it": ("settings", "metrics", "security"),
    "How it is made": ("flow", "console", "philosophy"),
}


def index(request: HttpRequest) -> HttpResponse:
    """Every page, by its title: what is looked for first in front, decisions at the end."""
    parts = {heading: list(names) for heading, names in PARTS.items()}
    decisions = sorted(name for name in _names() if name.startswith(DECISIONS))
    named = {name for names in PARTS.values() for name in names}
    list(parts.values())[-1].extend(sorted(_names() - named - set(decisions)))
    parts["Decisions"] = decisions
    titled = [
        (heading, [(name, _title(name)) for name in names if name in _names()])
        for heading, names in parts.items()
    ]
    return render(request, "docs/index.html", {"parts": titled})


def page(request: HttpRequest, name: str) -> HttpResponse:
    """One page; `errors` and `errors.md` are the same, so that links between files work."""
    name = name.removesuffix(".md")
    if name not in _names():
        raise Http404
    # Our own files, rendered with raw HTML switched off.
    body = mark_safe(_html(name))
    return render(request, "docs/page.html", {"title": _title(name), "body": body})


@cache
def _names() -> frozenset[str]:
    paths = (path.relative_to(FOLDER) for path in FOLDER.rglob("*.md"))
    return frozenset(str(path.with_suffix("")) for path in paths)


@cache
def _title(name: str) -> str:
    found = TITLE.search((FOLDER / f"{name}.md").read_text())
    return found[1].replace("`", "") if found else name


@cache
def _html(name: str) -> str:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse((FOLDER / f"{name}.md").read_text())
    for opening, inline in zip(tokens, tokens[1:], strict=False):
        if opening.type == "heading_open":
            opening.attrSet("id", _anchor(inline.content))
        if opening.type == "table_open":
            # A wide table is moved sideways, by keyboard too.
            opening.attrSet("tabindex", "0")
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def _anchor(heading: str) -> str:
    words = re.sub(r"[^\w\s-]", "", heading.lower())
    return re.sub(r"\s+", "-", words).strip("-")
