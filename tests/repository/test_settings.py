"""Every setting is documented, and every documented one exists."""

import ast
import re
from pathlib import Path

from deploy.local.checkout import ROOT

DOCUMENT = ROOT / "docs" / "settings.md"
SETTING = re.compile(r"^[A-Z][A-Z0-9_]{3,}$")
# What the shell and the desktop set, not our user.
NOT_OURS = {"PATH", "HOME", "XDG_RUNTIME_DIR", "DJANGO_SETTINGS_MODULE", "DEBIAN_FRONTEND"}
READERS = {
    *("list", "secret", "optional_secret", "numbered_keys", "database", "networks"),
    "private_networks",
    *("number", "numbers", "counts", "choice", "flag", "signing_keys"),
}


def test_every_setting_is_documented() -> None:
    assert sorted(settings_read() - documented()) == []


def test_every_documented_setting_exists() -> None:
    in_code = settings_read() | given_by_make()
    without_file = {name.removesuffix("_FILE") for name in documented()}
    assert sorted(without_file - {name.removesuffix("_FILE") for name in in_code}) == []


def documented() -> set[str]:
    """The names that begin a row of one of its tables."""
    return set(re.findall(r"^\| `([A-Z0-9_]+)`", DOCUMENT.read_text(), re.MULTILINE))


def settings_read() -> set[str]:
    files = [ROOT / "queensmtp" / "settings.py", *(ROOT / "deploy").rglob("*.py")]
    return {name for file in files for name in names_read_by(file)} - NOT_OURS


def names_read_by(file: Path) -> set[str]:
    """The names in `environ["X"]`, `environ.get("X")` and `read.kind("X")`."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value, "get"), args=[ast.Constant(str(name)), *_]):
                if ast.unparse(value) in ("environ", "os.environ"):
                    found.add(name)
            case ast.Call(func=ast.Attribute(_, kind), args=[ast.Constant(str(name)), *_]):
                if kind in READERS and SETTING.match(name):
                    found.add(name)
            case ast.Subscript(ast.Name("environ"), ast.Constant(str(name))):
                found.add(name)
    return found


def given_by_make() -> set[str]:
    """Read through a table of names, which no call shows."""
    return {"DATABASE_URL", "DATABASE_WORKER_URL", "DATABASE_OWNER_URL", "PYTHON", "ARGS", "SMOKE"}
