"""What every page carries: its policy, its theme, its errors."""

import pytest
from django.test import Client

from tests.console import get, post, sign_in, text
from tests.factories.cast import Cast

PAGES = ["/console", "/console/keys", "/console/messages", "/console/audit-log", "/console/nothing"]


@pytest.mark.parametrize("path", PAGES)
def test_the_policy_is_strict_everywhere(cast: Cast, path: str) -> None:
    response = get(sign_in(cast.alice.user), path)
    policy = response.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    for directive in ("default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"):
        assert directive in policy
    assert response.headers["X-Frame-Options"] == "DENY"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", PAGES)
def test_no_page_carries_style_or_script_of_its_own(cast: Cast, path: str) -> None:
    page = text(get(sign_in(cast.alice.user), path))
    assert " style=" not in page
    assert "<script>" not in page
    assert " onclick" not in page


def test_the_theme_is_remembered_and_rendered_by_the_server(db: None, client: Client) -> None:
    post(client, "/console/theme", {"theme": "dark", "next": "/accounts/login/"})
    assert 'data-theme="dark"' in text(get(client, "/accounts/login/"))
    post(client, "/console/theme", {"theme": '"><script>'})
    assert 'data-theme="dark"' in text(get(client, "/accounts/login/"))


def test_the_theme_form_leads_nowhere_else(db: None, client: Client) -> None:
    response = post(client, "/console/theme", {"theme": "dark", "next": "//evil.example/"})
    assert response.headers["Location"] == "/console"


def test_a_page_that_is_not_there_says_so(cast: Cast) -> None:
    response = get(sign_in(cast.alice.user), "/console/nothing")
    assert response.status_code == 404
    assert response.headers["X-Request-Id"] in text(response)


def test_times_are_shown_in_the_viewer_s_zone(cast: Cast) -> None:
    client = sign_in(cast.alice.user)
    post(client, "/console/profile", {"name": "Alice", "time_zone": "Asia/Tokyo"})
    assert "JST</time>" in text(get(client, "/console/audit-log"))


def test_a_cursor_that_is_none_is_a_bad_request(cast: Cast) -> None:
    client = sign_in(cast.alice.user)
    for path in ("/console/messages", "/console/audit-log"):
        assert get(client, path, after="nonsense").status_code == 400
