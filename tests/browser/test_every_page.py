"""Each page in both themes and at three widths: nothing hangs over, axe finds nothing."""

from collections.abc import Callable

import pytest

from accounts import actions
from accounts.roles import Role
from queensmtp.tenancy import tenant
from tests.browser.conftest import Console
from tests.browser.inspection import inspect, look
from tests.browser.scene import play
from tests.factories.cast import Cast

BEFORE_SIGN_IN = {
    "sign-in": "/accounts/login/",
    "password-reset": "/accounts/password/reset/",
    "signup-closed": "/accounts/signup/",
    "error-404": "/console/nothing",
    "docs": "/docs",
    "docs-api": "/docs/api",
    "docs-keys": "/docs/keys",
    "docs-security": "/docs/security",
    "unsubscribe": "{unsubscribe_path}",
    "invitation": "{invitation_path}",
}
AFTER_SIGN_IN = {
    "home": "/console",
    "keys": "/console/keys?state=all",
    "keys-no-match": "/console/keys?environment=staging",
    "key-create": "/console/keys/new",
    "key": "/console/keys/{key_id}",
    "key-rotating": "/console/keys/{rotated_id}",
    "key-revoked": "/console/keys/{revoked_id}",
    "key-rotate": "/console/keys/{key_id}/rotate",
    "key-revoke": "/console/keys/{key_id}/revoke",
    "key-edit": "/console/keys/{key_id}/edit",
    "key-addresses": "/console/keys/{key_id}/addresses",
    "key-addresses-proposed": "/console/keys/{key_id}/addresses?propose=1",
    "key-trace": "/console/keys/trace",
    "messages": "/console/messages",
    "messages-no-match": "/console/messages?recipient=nobody@example.com",
    "message-delivered": "/console/messages/{delivered_id}",
    "message-bounced": "/console/messages/{bounced_id}",
    "message-waiting": "/console/messages/{waiting_id}",
    "message-contents": "/console/messages/{delivered_id}/contents",
    "message-text": "/console/messages/{bounced_id}/contents?show=text",
    "message-html": "/console/messages/{delivered_id}/contents?show=html",
    "message-headers": "/console/messages/{delivered_id}/contents?show=headers",
    "message-raw": "/console/messages/{delivered_id}/contents?show=raw",
    "message-cancel": "/console/messages/{waiting_id}/cancel",
    "message-resend": "/console/messages/{delivered_id}/resend",
    "messages-by-words": "/console/messages?subject=order&tag=kind",
    "queue": "/console/queue",
    "domains": "/console/domains",
    "domain-add": "/console/domains/new",
    "domain": "/console/domains/{domain_id}",
    "domain-waiting": "/console/domains/{waiting_domain_id}",
    "domain-settings": "/console/domains/{domain_id}/settings",
    "domain-rotate": "/console/domains/{domain_id}/rotate",
    "domain-remove": "/console/domains/{domain_id}/remove",
    "senders": "/console/senders",
    "sender-add": "/console/senders/new",
    "sender": "/console/senders/{sender_id}",
    "suppressions": "/console/suppressions",
    "suppressions-no-match": "/console/suppressions?search=@nowhere.example",
    "suppression": "/console/suppressions/{suppression_id}",
    "suppression-taken-back": "/console/suppressions/{taken_back_id}",
    "suppression-add": "/console/suppressions/add",
    "suppression-import": "/console/suppressions/import",
    "suppression-remove": "/console/suppressions/{suppression_id}/remove",
    "requests": "/console/requests",
    "requests-no-match": "/console/requests?outcome=failed",
    "request": "/console/requests/{request_id}",
    "audit": "/console/audit-log",
    "audit-filtered": "/console/audit-log?event=api_key.*&outcome=allowed",
    "audit-wrong-filter": "/console/audit-log?ip=10.0.0.1/8",
    "audit-entry": "/console/audit-log/{entry_id}",
    "audit-receipt-waits": "/console/audit-log/{unsealed_entry_id}/receipt",
    "webhooks": "/console/webhooks",
    "webhook-create": "/console/webhooks/new",
    "webhook-types": "/console/webhooks/events",
    "webhook-verify": "/console/webhooks/verify",
    "webhook": "/console/webhooks/{webhook_id}",
    "webhook-no-match": "/console/webhooks/{webhook_id}?status=pending",
    "webhook-edit": "/console/webhooks/{webhook_id}/edit",
    "webhook-rotate": "/console/webhooks/{webhook_id}/rotate",
    "webhook-remove": "/console/webhooks/{webhook_id}/remove",
    "webhook-delivery": "/console/webhooks/{webhook_id}/events/{event_id}",
    "audit-verified": "/console/audit-log/verify?event=api_key.*",
    "audit-exports": "/console/audit-log/exports?search=event:api_key.*",
    "audit-retention": "/console/audit-log/retention",
    "audit-streams": "/console/audit-log/streams",
    "people": "/console/people",
    "person-invite": "/console/people/invite",
    "person": "/console/people/{membership_id}",
    "person-remove": "/console/people/{membership_id}/remove",
    "invitation-of-another": "{invitation_path}",
    "profile": "/console/profile",
    "password": "/accounts/password/change/",
    "second-factor": "/accounts/2fa/",
    "totp": "/accounts/2fa/totp/activate/",
    "passkey": "/accounts/2fa/webauthn/add/",
    "sessions": "/accounts/sessions/",
    "reauthenticate": "/accounts/reauthenticate/",
    "sign-out": "/accounts/logout/",
}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_sound(
    live_cast: Cast, open_console: Callable[..., Console], theme: str
) -> None:
    scene = play(live_cast)
    console = open_console(color_scheme=theme)
    found = []
    for name, path in BEFORE_SIGN_IN.items():
        found += look(console, name, path.format(**vars(scene)), theme=theme)
    console.sign_in(live_cast.alice.user)
    for name, path in AFTER_SIGN_IN.items():
        found += look(console, name, path.format(**vars(scene)), theme=theme)
    console.errors[:] = [one for one in console.errors if "404 (Not Found)" not in one]
    assert not found, "\n".join(found)


def test_an_empty_account_shows_first_steps(
    live_cast: Cast, open_console: Callable[..., Console]
) -> None:
    console = open_console(color_scheme="light")
    console.sign_in(live_cast.charlie.user)
    pages = {"home": "/console", "keys": "/console/keys", "messages": "/console/messages"}
    pages["webhooks"] = "/console/webhooks"
    pages["suppressions"] = "/console/suppressions"
    found = []
    for name, path in pages.items():
        found += look(console, f"empty-{name}", path, theme="light")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_behind_forms_are_sound(
    live_cast: Cast, open_console: Callable[..., Console], theme: str
) -> None:
    console = open_console(color_scheme=theme)
    page = console.page
    console.sign_in(live_cast.alice.user)
    found = []

    page.get_by_text("Alice", exact=True).click()
    found += inspect(console, "menu", theme=theme)

    console.open("/console/keys/new")
    page.get_by_label("Allowed addresses").fill("10.0.0.1/8")
    page.get_by_role("button", name="Review").click()
    found += inspect(console, "key-create-wrong", theme=theme)

    page.get_by_label("Name").fill("Shop, checkout mails")
    page.get_by_label("Allowed addresses").fill("203.0.113.0/24")
    page.get_by_role("button", name="Review").click()
    found += inspect(console, "key-summary", theme=theme)

    page.get_by_role("button", name="Create this key").click()
    found += inspect(console, "key-created", theme=theme)

    page.get_by_role("link", name="I have stored it").click()
    page.get_by_role("link", name="Revoke").click()
    found += inspect(console, "key-revoke-dialog", theme=theme)

    page.get_by_role("button", name="Keep it").click()
    console.sign_out()
    console.open("/accounts/login/")
    page.get_by_label("E-mail").fill("alice@alice.example")
    page.get_by_label("Password").fill("not the password at all")
    page.get_by_role("button", name="Sign in", exact=True).click()
    found += inspect(console, "sign-in-wrong", theme=theme)
    assert not found, "\n".join(found)


def test_a_refused_page_is_sound(live_cast: Cast, open_console: Callable[..., Console]) -> None:
    with tenant(live_cast.hive.pk):
        actions.change_role(
            membership=live_cast.bob.membership, role=Role.COMPLIANCE, by=live_cast.alice.actor
        )
    console = open_console(color_scheme="light")
    console.sign_in(live_cast.bob.user)
    found = look(console, "error-403", "/console/keys", theme="light")
    console.errors.clear()
    assert not found, "\n".join(found)
