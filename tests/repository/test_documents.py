"""The documents point at things that exist."""

import ast
import re
from pathlib import Path

import pytest

from deploy.local.checkout import ROOT
from tests.repository.test_row_level_security import DEFINER_FUNCTIONS

SECURITY = ROOT / "docs" / "security.md"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!\w+:)([^)#]+)[^)]*\)")
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
NAMED_MODULE = re.compile(r"`([a-z]+/[\w/]+\.py)(?::(\w+))?`")


def name_of(document: Path) -> str:
    return str(document.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_to_a_file(document: Path) -> None:
    links = LINK.findall(document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_the_readme_links_every_document() -> None:
    linked = {(ROOT / link).resolve() for link in LINK.findall((ROOT / "README.md").read_text())}
    pages = {*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")} - {ROOT / "README.md"}
    assert sorted(name_of(page) for page in pages - linked) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_module_and_function_that_is_named_exists(document: Path) -> None:
    named = NAMED_MODULE.findall(document.read_text())
    missing = [
        (path, function)
        for path, function in named
        if not (ROOT / path).exists() or (function and function not in functions_of(path))
    ]
    assert missing == []


def test_every_condition_of_the_grant_rule_names_a_test_that_exists() -> None:
    text = SECURITY.read_text()
    rule = text.partition("## The grant rule")[2].partition("\n## ")[0]
    conditions = re.findall(r"^\| (\d+) \|.*", rule, re.MULTILINE)
    named = NAMED_TEST.findall(text)

    assert [int(number) for number in conditions] == list(range(1, len(conditions) + 1))
    assert len(conditions) == 16
    assert [test for path, test in named if test not in functions_of(path)] == []


def test_every_way_around_the_tenant_policy_is_documented() -> None:
    ways = SECURITY.read_text().partition("**The ways around**")[2]
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", ways.partition("\n## ")[0], re.MULTILINE)
    assert dict(rows) == DEFINER_FUNCTIONS


def functions_of(path: str) -> set[str]:
    tree = ast.parse((ROOT / path).read_text())
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds)}
