"""Nothing changes by a request that another site could make."""

import re
from collections.abc import Iterator
from uuid import UUID

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.console import get, post, sign_in, text
from tests.factories.cast import Cast

# Something for each kind of thing that an address may hold.
PARTS = {
    "uuid": str(UUID(int=1)),
    "int": "1",
    "str": "x",
    r"(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)": "1-x",
}


def addresses(patterns: list[URLPattern | URLResolver], before: str = "/") -> Iterator[str]:
    for pattern in patterns:
        part = str(pattern.pattern).lstrip("^").rstrip("$")
        for hole, filling in PARTS.items():
            # Only a hole that is a pattern itself stands as it is: "str" is in "streams".
            part = re.sub(rf"<{hole}:\w+>", filling, part)
            part = part.replace(hole, filling) if "(" in hole else part
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, before + part)
        else:
            yield before + part


def pages_of_people() -> list[str]:
    every = addresses(get_resolver().url_patterns)
    return sorted({path for path in every if path.startswith(("/console", "/accounts/"))})


def test_every_address_is_tried() -> None:
    pages = pages_of_people()
    assert len(pages) > 30
    assert not [path for path in pages if "<" in path or "(" in path]


@pytest.mark.parametrize("path", pages_of_people())
def test_a_form_without_its_token_is_refused(cast: Cast, path: str) -> None:
    response = post(sign_in_checked(cast), path, {"theme": "dark"})
    assert response.status_code == 403
    assert "The form has expired" in text(response)


def test_a_form_from_another_origin_is_refused(cast: Cast) -> None:
    client = sign_in_checked(cast)
    token = token_in(text(get(client, "/console")))
    fields = {"theme": "dark", "csrfmiddlewaretoken": token}
    path = "/console/theme"
    from_elsewhere = client.post(
        path, fields, secure=True, headers={"origin": "https://evil.example"}
    )
    from_here = client.post(path, fields, secure=True, headers={"origin": "https://testserver"})
    assert (from_elsewhere.status_code, from_here.status_code) == (403, 302)


def test_no_page_changes_anything_by_get(cast: Cast) -> None:
    client = sign_in(cast.alice.user)
    assert get(client, "/accounts/logout/").status_code == 200
    assert get(client, "/console").status_code == 200
    for path in ("/console/theme", "/console/switch-account", "/console/welcome/dismiss"):
        assert get(client, path).status_code == 405


def sign_in_checked(cast: Cast) -> Client:
    signed_in = sign_in(cast.alice.user)
    client = Client(enforce_csrf_checks=True)
    client.cookies = signed_in.cookies
    return client


def token_in(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found
    return found[1]
