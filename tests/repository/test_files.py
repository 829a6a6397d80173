"""What may stand in the repository, whoever wrote it."""

import re
from pathlib import PurePosixPath

import pytest

from tests.repository.conftest import Tracked

DRAWERS = {"utils", "helpers", "common", "misc", "base", "core", "manager", "service"}
# Written in parts, so that this file does not hold what it looks for.
REGISTRIES = ["pypi." + "org", "python" + "hosted", "registry." + "npmjs", "deb." + "debian.org"]
MACHINE_PATHS = ["/work/" + "main", "/work/" + "shared", "/root/" + ".", "/home/" + "user"]
KEY_HEADER = "PRIVATE " + "KEY-----\nM"


def test_no_file_is_a_drawer(tracked: Tracked) -> None:
    """Templates are left out: allauth looks for a `base.html` by that name."""
    paths = [PurePosixPath(file.path) for file in tracked]
    drawers = [str(path) for path in paths if path.stem in DRAWERS and path.suffix != ".html"]
    assert drawers == []


def test_packages_begin_empty(tracked: Tracked) -> None:
    inits = [file for file in tracked if PurePosixPath(file.path).name == "__init__.py"]
    assert [file.path for file in inits if file.text] == []


def test_migrations_say_what_they_do(tracked: Tracked) -> None:
    nameless = re.compile(r"/migrations/\d{4}_(auto_\d+|initial|alter_\w+_\w+_and_more)\.py$")
    assert [file.path for file in tracked if nameless.search(file.path)] == []


@pytest.mark.parametrize("address", [*REGISTRIES, *MACHINE_PATHS])
def test_no_registry_and_no_path_of_one_machine_is_named(tracked: Tracked, address: str) -> None:
    assert [file.path for file in tracked if address in file.text] == []


def test_no_private_key_is_kept(tracked: Tracked) -> None:
    assert [file.path for file in tracked if KEY_HEADER in file.text] == []


def test_no_local_data_is_kept(tracked: Tracked) -> None:
    local = (".env", ".pem", ".key", ".log", ".sqlite3", ".pyc")
    assert [file.path for file in tracked if file.path.endswith(local)] == []
    assert [file.path for file in tracked if file.path.startswith(("var/", ".venv/"))] == []
