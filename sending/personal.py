"""What makes a message personal: its tracked links, its pixel, its way to unsubscribe. Pure.

Nothing here happens unless it was asked for. The HTML is the customer's: only the value of a
link is replaced, and everything else keeps its bytes.
"""

import html
import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from sending.contents import Content
from sending.links import TARGET_AT_MOST, Linker

# Written into a text or HTML body of a marketing mail by its author.
PLACEHOLDER = "{{{UNSUBSCRIBE_URL}}}"
# Bounded, so that a body of "<a <a <a" costs no more than its length.
_LINK = re.compile(
    r"""(<(?:a|area)\s[^<>]{0,2000}?\bhref\s*=\s*)(?:"([^"<>]{1,4000})"|'([^'<>]{1,4000})')""",
    re.IGNORECASE,
)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a message asks for beyond its content."""

    opens: bool = False
    clicks: bool = False
    marketing: bool = False

    @property
    def are_personal(self) -> bool:
        return self.opens or self.clicks or self.marketing


def for_recipient(content: Content, wishes: Wishes, linker: Linker) -> Content:
    """The content as this one recipient gets it."""
    text, body = content.text, content.html
    if wishes.clicks and body:
        body = track_clicks(body, linker)
    if wishes.marketing:
        url = linker.unsubscribe()
        text = text.replace(PLACEHOLDER, url) if text else text
        body = body.replace(PLACEHOLDER, html.escape(url)) if body else body
        content = replace(content, headers=_with_unsubscribe(content.headers, url))
    if wishes.opens and body:
        body = add_pixel(body, linker)
    return replace(content, text=text, html=body)


def track_clicks(body: str, linker: Linker) -> str:
    """Every link of the web leads past us; any other stays as it is."""

    def tracked(found: re.Match[str]) -> str:
        before, quoted, single = found.groups()
        target = html.unescape(quoted if quoted is not None else single).strip()
        if not _is_of_the_web(target):
            return found[0]
        return f'{before}"{html.escape(linker.click(target))}"'

    return _LINK.sub(tracked, body)


def add_pixel(body: str, linker: Linker) -> str:
    pixel = f'<img src="{html.escape(linker.pixel())}" width="1" height="1" alt="">'
    ends = [found.start() for found in _BODY_END.finditer(body)]
    at = ends[-1] if ends else len(body)
    return f"{body[:at]}{pixel}{body[at:]}"


def _is_of_the_web(target: str) -> bool:
    if not target.isprintable() or " " in target or len(target.encode()) > TARGET_AT_MOST:
        return False
    try:
        parts = urlsplit(target)
        return parts.scheme.lower() in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def _with_unsubscribe(
    headers: tuple[tuple[str, str], ...], url: str
) -> tuple[tuple[str, str], ...]:
    """RFC 8058 3.1, unless the customer has a way of his own."""
    if any(name.lower() == "list-unsubscribe" for name, _ in headers):
        return headers
    own = tuple(one for one in headers if one[0].lower() != "list-unsubscribe-post")
    return (
        *own,
        ("List-Unsubscribe", f"<{url}>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    )
