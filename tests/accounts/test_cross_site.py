"""Nothing changes by a request that another site could make."""

import re

import pytest
from django.test import Client
from django.urls import URLPattern, get_resolver

from tests.console import LOGIN, get, post, sign_in, text
from tests.factories.cast import Cast

FORMS = [
    LOGIN,
    "/accounts/logout/",
    "/accounts/password/change/",
    "/accounts/password/reset/",
    "/accounts/reauthenticate/",
    "/accounts/sessions/",
    "/accounts/2fa/totp/activate/",
    "/accounts/2fa/recovery-codes/generate/",
    "/accounts/2fa/webauthn/add/",
    "/console/keys/new",
    "/console/profile",
    "/console/switch-account",
    "/console/theme",
    "/console/welcome/dismiss",
]


@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_its_token_is_refused(cast: Cast, path: str) -> None:
    client = sign_in_checked(cast)
    response = post(client, path, {"theme": "dark"})
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


def test_no_view_is_exempt_from_the_token() -> None:
    exempt = [
        pattern.name
        for pattern in get_resolver().url_patterns
        if isinstance(pattern, URLPattern) and getattr(pattern.callback, "csrf_exempt", False)
    ]
    assert exempt == []


def sign_in_checked(cast: Cast) -> Client:
    signed_in = sign_in(cast.alice.user)
    client = Client(enforce_csrf_checks=True)
    client.cookies = signed_in.cookies
    return client


def token_in(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    assert found
    return found[1]
