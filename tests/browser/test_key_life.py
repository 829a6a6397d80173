"""The life of a key as a person lives it: made, seen once, rotated, revoked."""

import contextlib
import re

from playwright.sync_api import Error, expect

from apikeys.models import ApiKey
from queensmtp.tenancy import tenant
from tests.browser.conftest import Console
from tests.factories.cast import Cast

TOKEN = re.compile(r"qs_(dev|stag|prod)_[0-9A-Za-z]{54}")


def create_key(console: Console, name: str) -> str:
    page = console.page
    console.open("/console/keys/new")
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Review").click()
    page.get_by_role("button", name="Create this key").click()
    token = page.locator("#token").inner_text()
    assert TOKEN.fullmatch(token)
    return token


def test_a_new_key_is_seen_once_and_never_again(live_cast: Cast, console: Console) -> None:
    console.sign_in(live_cast.alice.user)
    page = console.page
    token = create_key(console, "Shop")

    page.reload()
    expect(page.get_by_text("This form made its key already")).to_be_visible()
    assert token not in page.content()

    # Chromium keeps no page that was posted to, and asks before it posts again.
    with contextlib.suppress(Error):
        page.go_back()
    expect(page.locator("body")).not_to_contain_text(token)

    console.open("/console/keys")
    expect(page.get_by_role("link", name="Shop", exact=True)).to_be_visible()
    assert token not in page.content()
    with tenant(live_cast.hive.pk):
        assert ApiKey.objects.count() == 1


def test_an_impatient_second_click_does_not_lose_the_key(live_cast: Cast, console: Console) -> None:
    console.sign_in(live_cast.alice.user)
    page = console.page
    console.open("/console/keys/new")
    page.get_by_label("Name").fill("Shop")
    page.get_by_role("button", name="Review").click()
    page.get_by_role("button", name="Create this key").dblclick()
    expect(page.locator("#token")).to_have_text(TOKEN)


def test_the_copy_button_says_that_it_copied(live_cast: Cast, console: Console) -> None:
    console.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    console.sign_in(live_cast.alice.user)
    token = create_key(console, "Shop")
    console.page.get_by_role("button", name="Copy the key").click()
    expect(console.page.locator("#live")).to_have_text("Copied")
    assert console.page.evaluate("navigator.clipboard.readText()") == token


def test_a_key_is_rotated_in_four_clicks(live_cast: Cast, console: Console) -> None:
    console.sign_in(live_cast.alice.user)
    page = console.page
    create_key(console, "Shop")

    console.open("/console/keys")
    page.get_by_role("link", name="Shop", exact=True).click()
    page.get_by_role("link", name="Rotate").click()
    page.get_by_label("In 1 hour").check()
    page.get_by_role("button", name="Make the successor").click()

    assert TOKEN.fullmatch(page.locator("#token").inner_text())
    expect(page.get_by_text("The old key")).to_be_visible()


def test_revoking_asks_for_the_name(live_cast: Cast, console: Console) -> None:
    console.sign_in(live_cast.alice.user)
    page = console.page
    create_key(console, "Shop")
    page.get_by_role("link", name="I have stored it").click()

    page.get_by_role("link", name="Revoke").click()
    dialog = page.get_by_role("dialog", name="Revoke Shop?")
    dialog.get_by_label("Type the key's name").fill("Shp")
    dialog.get_by_role("button", name="Revoke for ever").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not the name")

    page.get_by_label("Type the key's name").fill("Shop")
    page.get_by_role("button", name="Revoke for ever").click()
    expect(page.get_by_text("Shop is revoked")).to_be_visible()
    with tenant(live_cast.hive.pk):
        assert ApiKey.objects.get().revoked_at is not None
