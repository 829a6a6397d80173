"""A passkey, made and used with Chromium's virtual authenticator."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import Console
from tests.browser.inspection import inspect, look
from tests.factories.cast import PASSWORD, Cast

AUTHENTICATOR = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def plug_in_authenticator(page: Page) -> None:
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    session.send("WebAuthn.addVirtualAuthenticator", {"options": AUTHENTICATOR})


def test_a_passkey_is_added_and_signs_in_without_a_password(
    live_cast: Cast, console: Console
) -> None:
    page = console.page
    plug_in_authenticator(page)
    console.sign_in(live_cast.alice.user)
    console.open("/accounts/2fa/")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("Alice's laptop")
    page.get_by_label("Passwordless").check()
    page.locator("#mfa_webauthn_add").click()
    expect(page.get_by_role("heading", name="Recovery Codes")).to_be_visible()
    found = inspect(console, "recovery-codes", theme="light")
    found += look(console, "passkeys", "/accounts/2fa/webauthn/", theme="light")
    found += look(console, "second-factor-on", "/accounts/2fa/", theme="light")
    assert not found, "\n".join(found)

    page.get_by_text("Alice", exact=True).click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/")
    page.get_by_label("E-mail").fill("alice@alice.example")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    found = inspect(console, "second-step", theme="light")
    assert not found, "\n".join(found)

    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url(f"{console.url}/console")
    expect(page.get_by_role("heading", name="Hive")).to_be_visible()


def test_the_theme_is_chosen_and_stays(live_cast: Cast, console: Console) -> None:
    page = console.page
    console.sign_in(live_cast.alice.user)
    page.get_by_text("Alice", exact=True).click()
    page.get_by_label("Theme").select_option("dark")
    page.get_by_role("button", name="Set").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 19, 15)"


def test_the_keyboard_reaches_the_content_first(live_cast: Cast, console: Console) -> None:
    page = console.page
    console.sign_in(live_cast.alice.user)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
