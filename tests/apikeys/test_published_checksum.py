"""docs/leaks.md tells scanners what a key looks like: what it says is run here."""

import re
from typing import Any

import pytest

from apikeys import tokens
from apikeys.tokens import Environment
from deploy.local.checkout import ROOT

PAGE = (ROOT / "docs" / "leaks.md").read_text()


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    """The names that the page's own code defines."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    return names


@pytest.mark.parametrize("environment", Environment)
def test_the_published_code_knows_our_keys(
    published: dict[str, Any], environment: Environment
) -> None:
    for _ in range(200):
        assert published["is_key"](tokens.mint(environment).text)


def test_the_published_code_knows_a_look_alike(published: dict[str, Any]) -> None:
    key = tokens.mint(Environment.PRODUCTION).text
    wrong = [
        key[:at] + ("A" if key[at] != "A" else "B") + key[at + 1 :] for at in range(8, len(key))
    ]

    assert not any(map(published["is_key"], wrong))


def test_the_published_vectors_are_right() -> None:
    said = re.findall(r"body `(qs_\w+_)` and 48 times `(.)` has(?: the checksum)? `(\w{6})`", PAGE)

    assert len(said) == 2
    assert all(tokens.checksum(start + filler * 48) == sum for start, filler, sum in said)


def test_the_published_pattern_is_the_one_we_use() -> None:
    assert f"`{tokens.PATTERN.pattern}`" in PAGE
