"""GET /v1/emails/{id}/attachments, one of them, and the link that needs no key."""

import base64
from typing import Any

import pytest
from django.core import signing
from django.test import Client

from auditlog.models import Entry
from queensmtp.tenancy import tenant
from sending.attachment_api import LINK_SALT
from sending.models import Message
from tests.factories.cast import Cast, make_domain
from tests.factories.emails import make_email
from tests.factories.keys import bearer, make_key
from tests.roles import as_role

FILES = [
    {"filename": "a.txt", "content": base64.b64encode(b"first").decode()},
    {"filename": "logo.png", "content": [137, 80], "content_id": "logo@hive"},
    {"filename": "evil.html", "content": {"type": "Buffer", "data": list(b"<script>")}},
]


@pytest.fixture
def token(cast: Cast) -> str:
    make_domain(cast.hive, "hive.example")
    return make_key(cast.hive, scopes=("email:read",))[1]


@pytest.fixture
def email_id(cast: Cast, token: str) -> str:
    return str(make_email(cast.hive, html="<img src='cid:logo@hive'>", attachments=FILES))


def get(client: Client, path: str, token: str) -> Any:
    return client.get(f"/v1/emails/{path}", headers=bearer(token))


def test_lists_what_is_stored(client: Client, cast: Cast, token: str, email_id: str) -> None:
    found = get(client, f"{email_id}/attachments", token).json()

    assert (found["object"], found["has_more"]) == ("list", False)
    shown = [
        (one["filename"], one["content_type"], one["size"], one["content_disposition"])
        for one in found["data"]
    ]
    assert shown == [
        ("a.txt", "text/plain", 5, "attachment"),
        ("logo.png", "image/png", 2, "inline"),
        ("evil.html", "text/html", 8, "attachment"),
    ]
    assert [one["content_id"] for one in found["data"]] == [None, "logo@hive", None]
    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="email.attachments_opened")
        assert (entry.target_id, entry.ordinary_read) == (email_id, False)


def test_pages_in_the_order_of_the_message(
    client: Client, cast: Cast, token: str, email_id: str
) -> None:
    path = f"{email_id}/attachments"
    ids = [one["id"] for one in get(client, path, token).json()["data"]]

    def page(query: str) -> tuple[list[str], bool]:
        body = get(client, f"{path}?{query}", token).json()
        return [one["id"] for one in body["data"]], body["has_more"]

    assert page("limit=2") == (ids[:2], True)
    assert page(f"after={ids[0]}&limit=2") == (ids[1:], False)
    assert page(f"before={ids[2]}&limit=1") == ([ids[1]], True)
    assert get(client, f"{path}?after={email_id}", token).status_code == 422


def test_shows_one(client: Client, cast: Cast, token: str, email_id: str) -> None:
    first = get(client, f"{email_id}/attachments", token).json()["data"][0]
    one = get(client, f"{email_id}/attachments/{first['id']}", token).json()

    assert one["object"] == "attachment"
    assert one["id"] == first["id"]
    assert get(client, f"{email_id}/attachments/{email_id}", token).status_code == 404


def test_the_link_works_without_a_key(
    client: Client, cast: Cast, token: str, email_id: str
) -> None:
    found = get(client, f"{email_id}/attachments", token).json()["data"]
    responses = [client.get(one["download_url"]) for one in found]

    assert [one.content for one in responses] == [b"first", b"\x89P", b"<script>"]
    last = responses[-1]
    assert last["Content-Disposition"] == 'attachment; filename="evil.html"'
    assert last["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert last["X-Content-Type-Options"] == "nosniff"


ACTIVE = [
    *("text/html", "text/html; charset=utf-7", "image/svg+xml", "application/xhtml+xml"),
    *("text/xml", "application/javascript", "multipart/related", "message/rfc822"),
    *("application/pdf", "application/x-shockwave-flash"),
]


# Threat C6
@pytest.mark.parametrize("content_id", [None, "logo@hive"])
@pytest.mark.parametrize("content_type", ACTIVE)
def test_no_file_opens_in_the_browser_or_on_the_host_of_the_console(
    client: Client, cast: Cast, token: str, content_type: str, content_id: str | None, settings: Any
) -> None:
    settings.LINKS_URL = "https://links.example"
    script = "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
    file = {"filename": "x", "content": base64.b64encode(script.encode()).decode()}
    hostile = {**file, "content_type": content_type, "content_id": content_id}
    email_id = make_email(cast.hive, html="<img src='cid:logo@hive'>", attachments=[hostile])
    (found,) = get(client, f"{email_id}/attachments", token).json()["data"]

    assert found["download_url"].startswith("https://links.example/v1/attachments/")
    for method in (client.get, client.head):
        answer = method(found["download_url"])
        assert answer["Content-Disposition"].startswith("attachment; ")
        assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "Set-Cookie" not in answer


def test_a_link_is_good_for_one_file_and_one_time(
    client: Client, cast: Cast, token: str, email_id: str, settings: Any
) -> None:
    first, second, _ = get(client, f"{email_id}/attachments", token).json()["data"]
    url = first["download_url"]
    at = url.rindex("/") + 5
    typo = url[:at] + ("x" if url[at] != "x" else "y") + url[at + 1 :]
    claim, seal = (url.rpartition(":") for url in (second["download_url"], url))
    for changed in (typo, url[:-1], f"{claim[0]}:{seal[2]}"):
        assert client.get(changed).status_code == 400
    settings.ATTACHMENT_LINK_SECONDS = 0
    assert client.get(url).status_code == 400


def test_a_link_of_another_purpose_opens_nothing(
    client: Client, cast: Cast, token: str, email_id: str
) -> None:
    named = [cast.hive.pk.hex, email_id.replace("-", ""), 0]
    assert client.get(f"/v1/attachments/{signing.dumps(named, salt=LINK_SALT)}").status_code == 200
    other = signing.dumps(named, salt="another")
    assert client.get(f"/v1/attachments/{other}").status_code == 400
    crossed = signing.dumps([cast.wasp.pk.hex, *named[1:]], salt=LINK_SALT)
    assert client.get(f"/v1/attachments/{crossed}").status_code == 404


def test_nothing_is_listed_when_the_contents_are_gone(
    client: Client, cast: Cast, token: str, email_id: str
) -> None:
    with as_role("worker"):
        Message.objects.update(content=None)

    assert get(client, f"{email_id}/attachments", token).json()["data"] == []


def test_refuses_without_the_scope_and_charlie_gets_404(
    client: Client, cast: Cast, token: str, email_id: str
) -> None:
    weak, theirs = make_key(cast.hive, scopes=("email:send",))[1], make_key(cast.wasp)[1]
    one = get(client, f"{email_id}/attachments", token).json()["data"][0]["id"]
    for path in (f"{email_id}/attachments", f"{email_id}/attachments/{one}"):
        assert get(client, path, weak).json()["name"] == "insufficient_scope"
        assert get(client, path, theirs).json()["name"] == "not_found"
