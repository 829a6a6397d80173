"""OpenSSL's s_client, with which tests/sending asks for what no library of today would ask."""

from collections.abc import Sequence
from pathlib import Path

from deploy.local import system_packages

PROGRAM = "openssl"


def ensure(checkout_root: Path, pytest_arguments: Sequence[str]) -> None:
    is_asked = system_packages.is_asked(checkout_root, "sending", pytest_arguments)
    if is_asked and not system_packages.has(PROGRAM):
        system_packages.install(PROGRAM, purpose="the tests of TLS")
