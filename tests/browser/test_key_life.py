"""The life of a key as a person lives it: made, seen once, used, rotated, revoked."""

import contextlib
import re
from collections.abc import Callable

from django.test import Client
from playwright.sync_api import Error, expect

from apikeys.models import ApiKey
from queensmtp.tenancy import tenant
from tests.browser.conftest import Console
from tests.factories.cast import Cast
from tests.factories.keys import bearer, make_key

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


def rotate(console: Console, name: str, *, overlap: str) -> str:
    """From the list to the successor: a click each for key, rotation, overlap and button."""
    page = console.page
    console.open("/console/keys")
    page.get_by_role("link", name=name, exact=True).first.click()
    page.get_by_role("link", name="Rotate").click()
    page.get_by_label(overlap).check()
    page.get_by_role("button", name="Make the successor").click()
    token = page.locator("#token").inner_text()
    assert TOKEN.fullmatch(token)
    return token


def answers(token: str) -> int:
    """What a request with this key is answered."""
    return Client().get("/v1/keys", headers=bearer(token), secure=True).status_code


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
    create_key(console, "Shop")
    rotate(console, "Shop", overlap="In 1 hour")
    expect(console.page.get_by_text("The old key")).to_be_visible()


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


def test_the_meter_tells_live_whether_the_old_key_is_quiet(
    live_cast: Cast, console: Console
) -> None:
    console.sign_in(live_cast.alice.user)
    page = console.page
    _, old = make_key(live_cast.hive)
    new = rotate(console, "Test key", overlap="In 24 hours")
    with tenant(live_cast.hive.pk):
        old_id = ApiKey.objects.get(replaces_id=None).pk

    console.open(f"/console/keys/{old_id}")
    expect(page.get_by_text("The old key is quiet.")).to_be_visible()
    assert answers(old) == 200
    # Nobody reloads: the page looks again by itself.
    expect(page.get_by_text("The old key is still used:")).to_be_visible(timeout=15_000)
    expect(page.locator("#meter")).to_contain_text("just now, from 127.0.0.1")

    page.get_by_role("button", name="End the overlap now").click()
    expect(page.get_by_text("The overlap has ended: Test key")).to_be_visible()
    assert (answers(old), answers(new)) == (401, 200)


def test_a_whole_life_without_javascript(
    live_cast: Cast, open_console: Callable[..., Console]
) -> None:
    console = open_console(java_script_enabled=False)
    page = console.page
    console.sign_in(live_cast.alice.user)
    console.open("/console/keys/new")
    page.get_by_label("Name").fill("Shop")
    page.get_by_label("Everything, creating keys included").check()
    page.get_by_label("Allowed addresses").fill("127.0.0.0/8")
    page.get_by_role("button", name="Review").click()
    expect(page.get_by_role("heading", name="Review the key")).to_be_visible()
    page.get_by_role("button", name="Create this key").click()
    old = page.locator("#token").inner_text()
    assert answers(old) == 200
    expect(page.locator("#curl")).to_contain_text(old)
    # What only scripts could do is not offered.
    expect(page.get_by_role("button", name="Copy the key")).to_be_hidden()
    page.get_by_role("link", name="I have stored it").click()

    page.get_by_role("link", name="Change the allowed addresses").click()
    page.get_by_label("Allowed addresses").fill("203.0.113.0/24")
    page.get_by_role("button", name="Try it on the last 1,000 requests").click()
    expect(page.get_by_text("Of the last 1 request 1 would be refused.")).to_be_visible()

    new = rotate(console, "Shop", overlap="In 1 hour")
    assert (answers(old), answers(new)) == (200, 200)
    with tenant(live_cast.hive.pk):
        old_id = ApiKey.objects.get(replaces_id=None).pk
    console.open(f"/console/keys/{old_id}")
    expect(page.get_by_text("The old key is still used:")).to_be_visible()
    page.get_by_role("button", name="End the overlap now").click()
    assert (answers(old), answers(new)) == (401, 200)

    console.open("/console/keys")
    page.get_by_role("link", name="Shop", exact=True).click()
    page.get_by_role("link", name="Revoke").click()
    expect(page.get_by_text("Nobody can undo this.")).to_be_visible()
    page.get_by_label("Type the key's name").fill("Shop")
    page.get_by_role("button", name="Revoke for ever").click()
    expect(page.get_by_text("Shop is revoked")).to_be_visible()
    assert answers(new) == 401


def test_a_pasted_key_leads_to_its_log_and_leaves_no_trace_in_the_address(
    live_cast: Cast, console: Console
) -> None:
    console.sign_in(live_cast.alice.user)
    page = console.page
    _, token = make_key(live_cast.hive)
    assert answers(token) == 200
    console.open("/console/audit-log")
    page.get_by_role("link", name="Found a key?").click()
    page.get_by_label("The key, or its id").fill(token)
    page.get_by_role("button", name="Show what it did").click()
    expect(page.get_by_text("listed API keys")).to_be_visible()
    assert token not in page.url + page.content()
    page.go_back()
    expect(page.get_by_label("The key, or its id")).to_have_value("")
