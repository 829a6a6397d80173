"""Chromium in front of the console. Any error in its console fails the test, CSP reports first."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.conf import LazySettings
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from accounts.models import User
from tests.browser.server import TlsServer
from tests.certificates import Authority
from tests.factories.cast import PASSWORD, Cast, make_cast

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
MEND = "Chromium is missing; install it with: apt-get install -y chromium"

WATCH_POLICY = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`));
"""


@dataclass
class Console:
    """A browser window on the console, and what went wrong in it."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        self.page.goto(self.url + path)

    def sign_in(self, user: User, *, password: str = PASSWORD) -> None:
        self.open("/accounts/login/")
        self.page.get_by_label("E-mail").fill(user.email)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        self.page.wait_for_url(f"{self.url}/console")

    def sign_out(self) -> None:
        self.open("/accounts/logout/")
        self.page.get_by_role("main").get_by_role("button", name="Sign out").click()
        self.page.wait_for_url(f"{self.url}/accounts/login/")


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.fail(MEND)
    # Playwright runs an event loop in this thread, which Django takes for asynchronous code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder: Path = tmp_path_factory.mktemp("tls")
    return Authority(folder).issue("localhost", "127.0.0.1")


@pytest.fixture
def live_cast(transactional_db: None) -> Cast:
    return make_cast()


@pytest.fixture
def server(
    transactional_db: None, certificate: tuple[str, str], settings: LazySettings
) -> Iterator[TlsServer]:
    server = TlsServer(*certificate)
    settings.CONSOLE_URL = server.url
    settings.CSRF_TRUSTED_ORIGINS = [server.url]
    thread = server.serve()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def open_console(chromium: Browser, server: TlsServer) -> Iterator[Callable[..., Console]]:
    """Opens windows; at the end none of them may have met an error."""
    windows: list[tuple[BrowserContext, Console]] = []

    def open_window(**options: object) -> Console:
        context = chromium.new_context(ignore_https_errors=True, **options)  # type: ignore[arg-type]
        context.add_init_script(WATCH_POLICY)
        console = Console(page=context.new_page(), url=server.url)
        console.page.on(
            "console",
            lambda message: (
                console.errors.append(message.text) if message.type == "error" else None
            ),
        )
        console.page.on("pageerror", lambda error: console.errors.append(str(error)))
        windows.append((context, console))
        return console

    yield open_window
    for context, _ in windows:
        context.close()
    assert [console.errors for _, console in windows] == [[] for _ in windows]


@pytest.fixture
def console(open_console: Callable[..., Console]) -> Console:
    return open_console()
