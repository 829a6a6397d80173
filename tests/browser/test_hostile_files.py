"""Threat C6: what a stranger put into a message or beside it acts nowhere in a browser."""

import base64
from typing import Any

from django.test import Client
from playwright.sync_api import Dialog, Request, expect

from tests.browser.conftest import Console
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.factories.keys import bearer, make_key

ACTS = "document.title='acted';alert(1);fetch('https://evil.example/')"
SVG = f"<svg xmlns='http://www.w3.org/2000/svg' onload=\"{ACTS}\"><script>{ACTS}</script></svg>"
PAGE = f'<!doctype html><title>calm</title><script>{ACTS}</script><img src=x onerror="{ACTS}">'
INLINE = "data:image/svg+xml;base64," + base64.b64encode(SVG.encode()).decode()
BODY = f"""<p>Look</p><img src="{INLINE}"><img src="cid:drawing">{SVG}
<object data="{INLINE}"></object><embed src="{INLINE}"><iframe srcdoc="<script>{ACTS}</script>">
</iframe><a href="{INLINE}">drawing</a>"""


def file(name: str, content: str, content_type: str) -> dict[str, str]:
    data = base64.b64encode(content.encode()).decode()
    return {"filename": name, "content": data, "content_type": content_type}


def make_hostile(cast: Cast) -> str:
    make_domain(cast.hive, "hive.example")
    files = [
        {**file("drawing.svg", SVG, "image/svg+xml"), "content_id": "drawing"},
        file("page.html", PAGE, "text/html"),
    ]
    return str(make_email(cast.hive, html=BODY, attachments=files))


def links(cast: Cast, email_id: str) -> list[str]:
    _, token = make_key(cast.hive)
    listed = Client().get(f"/v1/emails/{email_id}/attachments", headers=bearer(token), secure=True)
    return [one["download_url"] for one in listed.json()["data"]]


def watched(console: Console) -> list[str]:
    """What the page did: every dialog, and every request to elsewhere."""
    acted: list[str] = []

    def saw_dialog(dialog: Dialog) -> None:
        acted.append(dialog.message)
        dialog.dismiss()

    def saw_request(request: Request) -> None:
        if "evil.example" in request.url:
            acted.append(request.url)

    console.page.on("dialog", saw_dialog)
    console.page.on("request", saw_request)
    return acted


def test_a_file_is_saved_and_never_shown(live_cast: Cast, console: Console, settings: Any) -> None:
    settings.LINKS_URL = console.url
    acted = watched(console)
    for url in links(live_cast, make_hostile(live_cast)):
        with console.page.expect_download() as saved:
            console.page.evaluate("url => { location.href = url }", url)
        assert saved.value.url == url
    assert acted == []


def test_a_preview_shows_the_message_and_nothing_acts(live_cast: Cast, console: Console) -> None:
    email_id = make_hostile(live_cast)
    console.sign_in(live_cast.alice.user)
    acted = watched(console)
    console.open(f"/console/messages/{email_id}/contents")

    frame = console.page.frame_locator("iframe")
    expect(frame.get_by_text("Look")).to_be_visible()
    expect(console.page.get_by_text("page.html")).to_be_visible()
    assert frame.locator("script, object, embed, iframe, svg").count() == 0
    assert acted == []
