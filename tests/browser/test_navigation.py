"""The main menu on a narrow screen: one button, by keyboard and without a script."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Console
from tests.browser.inspection import inspect
from tests.factories.cast import Cast

NARROW = {"width": 360, "height": 740}


@pytest.mark.parametrize("has_script", [True, False])
def test_a_narrow_screen_folds_the_menu_away(
    live_cast: Cast, open_console: Callable[..., Console], has_script: bool
) -> None:
    console = open_console(viewport=NARROW, java_script_enabled=has_script)
    console.sign_in(live_cast.alice.user)
    page = console.page
    button, link = page.get_by_role("button", name="Menu"), page.get_by_role("link", name="Domains")

    expect(link).to_be_hidden()
    button.focus()
    page.keyboard.press("Enter")
    expect(link).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Home")).to_be_focused()
    page.keyboard.press("Escape")
    expect(link).to_be_hidden()
    expect(button).to_be_focused()

    button.click()
    link.click()
    page.wait_for_url(f"{console.url}/console/domains")
    expect(link).to_be_hidden()


def test_a_wide_screen_shows_the_menu(live_cast: Cast, console: Console) -> None:
    console.sign_in(live_cast.alice.user)

    expect(console.page.get_by_role("link", name="Domains")).to_be_visible()
    expect(console.page.get_by_role("button", name="Menu")).to_be_hidden()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_open_menu_is_sound(
    live_cast: Cast, open_console: Callable[..., Console], theme: str
) -> None:
    console = open_console(color_scheme=theme, viewport=NARROW)
    console.sign_in(live_cast.alice.user)
    console.page.get_by_role("button", name="Menu").click()

    assert not inspect(console, "navigation", theme=theme)
