"""A domain as a person lives it: added, looked for while one watches, verified."""

import re
from typing import Any

from playwright.sync_api import expect

from domains import checking
from domains.models import Domain
from queensmtp.tenancy import tenant
from tests.browser.conftest import Console
from tests.domains.zone import Zone, serving
from tests.factories.cast import Cast
from tests.roles import as_role


def add_domain(cast: Cast, console: Console) -> Domain:
    console.sign_in(cast.alice.user)
    console.open("/console/domains/new")
    console.page.get_by_label("Domain").fill("hive.example")
    console.page.get_by_role("button", name="Add and show the records").click()
    with tenant(cast.hive.pk):
        return Domain.objects.get()


def test_the_page_follows_a_check_by_itself(
    live_cast: Cast, console: Console, settings: Any
) -> None:
    page = console.page
    domain, zone = add_domain(live_cast, console), Zone()
    zone.publish(domain)
    expect(page.get_by_text("0 of 5 records stand as they should.")).to_be_visible()
    page.get_by_role("button", name="Verify now").click()
    expect(page.get_by_text("Asking DNS now.")).to_be_visible()

    with serving(zone) as port:
        settings.DOMAIN_DNS_RESOLVERS, settings.DOMAIN_DNS_PORT = ["127.0.0.1"], port
        with as_role("worker"):
            assert checking.check_due() == 1

    # Nobody reloads: the page asks for itself, says so, and its copy buttons still work.
    expect(page.get_by_text("5 of 5 records stand as they should.")).to_be_visible()
    expect(page.locator("#live")).to_have_text("DNS was asked. The domain is verified.")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy value of Verification TXT").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"queensmtp-verification={domain.verification_token}"


def test_it_is_verified_without_javascript(
    live_cast: Cast, open_console: Any, settings: Any
) -> None:
    console = open_console(java_script_enabled=False)
    page = console.page
    domain, zone = add_domain(live_cast, console), Zone()
    zone.publish(domain)
    page.get_by_role("button", name="Verify now").click()
    with serving(zone) as port:
        settings.DOMAIN_DNS_RESOLVERS, settings.DOMAIN_DNS_PORT = ["127.0.0.1"], port
        with as_role("worker"):
            checking.check_due()
    page.get_by_role("link", name="Look again").click()
    expect(page.get_by_text(re.compile("You can send from hive.example"))).to_be_visible()
