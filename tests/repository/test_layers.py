"""The import contract names everything that it is about."""

import tomllib

from deploy.local.checkout import ROOT

CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
LAYERS, KERNEL = CONTRACTS["contracts"]
WIRING = {module for layer in LAYERS["layers"][:4] for module in layer.split(" | ")}


def test_every_app_stands_in_the_layers() -> None:
    apps = {path.parent.name for path in ROOT.glob("*/apps.py")} - {"queensmtp"}
    assert apps - {layer.strip("()") for layer in LAYERS["layers"]} == set()
    assert apps - set(CONTRACTS["root_packages"]) == set()
    assert apps - set(KERNEL["forbidden_modules"]) == set()


def test_every_module_of_the_project_package_is_kernel_or_wiring() -> None:
    files = (path for path in (ROOT / "queensmtp").glob("*.py") if path.stem != "__init__")
    modules = {f"queensmtp.{path.stem}" for path in files}
    assert modules - WIRING - {"queensmtp.apps"} == set(KERNEL["source_modules"])
    assert set(KERNEL["forbidden_modules"]) >= WIRING
