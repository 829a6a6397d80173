"""The browser that tests/browser drives is Debian's Chromium, installed when it is missing."""

from collections.abc import Sequence
from pathlib import Path

from deploy.local import system_packages

PROGRAM = "chromium"


def ensure(checkout_root: Path, pytest_arguments: Sequence[str]) -> None:
    is_asked = system_packages.is_asked(checkout_root, "browser", pytest_arguments)
    if is_asked and not system_packages.has(PROGRAM):
        system_packages.install(PROGRAM, purpose="the browser tests")
