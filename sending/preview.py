"""A stranger's HTML, made fit for a sandboxed frame under a policy without inline styles. Pure.

nh3 drops what could act; what is left is written anew with each `style` attribute moved into one
style sheet, which the page's nonce allows. Remote images are left out: they would tell the
sender who looks.
"""

import re
from html import escape
from html.parser import HTMLParser

import nh3

# `data` is for pictures inside the message; no link may use it.
SCHEMES = {"http", "https", "mailto", "data"}
VOID = frozenset({"area", "br", "col", "hr", "img", "wbr"})
STYLED = {
    name: set(allowed) | {"style", "align", "valign", "width", "height", "bgcolor"}
    for name, allowed in nh3.ALLOWED_ATTRIBUTES.items()
} | {"*": {"style", "align", "valign", "width", "height", "bgcolor", "dir", "lang"}}
# What could fetch, escape the style sheet or cover the frame with something else's look.
HARMFUL = re.compile(r"[<>{}@\\]|url\s*\(|expression|/\*", re.IGNORECASE)


def page(html: str, *, nonce: str) -> str:
    """The whole document for the frame."""
    writer = _Writer()
    writer.feed(nh3.clean(html, attributes=STYLED, url_schemes=SCHEMES))
    writer.close()
    rules = "".join(f".{name}{{{style}}}" for style, name in writer.classes.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Preview</title>'
        f'<style nonce="{escape(nonce)}">body{{font:1rem sans-serif;margin:1rem}}'
        f"img{{max-width:100%}}{rules}</style></head><body>{''.join(writer.parts)}</body></html>"
    )


class _Writer(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.classes: dict[str, str] = {}

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        kept = [self._attribute(tag, name, value or "") for name, value in attributes]
        self.parts.append(f"<{tag}{''.join(kept)}>")

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            self.parts.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self.parts.append(escape(data, quote=False))

    def _attribute(self, tag: str, name: str, value: str) -> str:
        if name == "style":
            return f' class="{self._class_for(value)}"' if not HARMFUL.search(value) else ""
        if tag == "img" and name == "src" and not value.startswith("data:image/"):
            return ""
        if name == "href" and value.lower().lstrip().startswith("data:"):
            return ""
        return f' {name}="{escape(value)}"'

    def _class_for(self, style: str) -> str:
        return self.classes.setdefault(style, f"s{len(self.classes)}")
