"""The locks: every package pinned and hashed, no address, nothing forgotten."""

import re

import pytest

from deploy.local.checkout import ROOT

LOCKS = ["requirements.txt", "requirements-dev.txt"]
NAME = re.compile(r"^([A-Za-z0-9._-]+)")


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_is_pinned_and_hashed(name: str) -> None:
    for first_line, block in blocks_of(name):
        assert re.match(r"^[a-z0-9._-]+==\S+", first_line), first_line
        assert "--hash=sha256:" in block, first_line


@pytest.mark.parametrize("name", LOCKS)
def test_no_address_stands_in_a_lock(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_its_source_asks_for(name: str) -> None:
    asked = names_in((ROOT / name).with_suffix(".in").read_text())
    locked = {normal(NAME.match(first_line)[1]) for first_line, _ in blocks_of(name)}  # type: ignore[index]  # Every block begins with a name.
    assert asked - locked == set()


def test_what_is_tested_is_what_runs_in_production() -> None:
    production, development = (pins_of(name) for name in LOCKS)
    assert production.items() <= development.items()


def pins_of(name: str) -> dict[str, str]:
    pins = (first_line.split(" ")[0].partition("==") for first_line, _ in blocks_of(name))
    return {package: version for package, _, version in pins}


def blocks_of(name: str) -> list[tuple[str, str]]:
    """Each package's first line, and all its lines."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    starts = [at for at, line in enumerate(lines) if line and not line.startswith(" ")]
    ends = [*starts[1:], len(lines)]
    return [(lines[at], "\n".join(lines[at:end])) for at, end in zip(starts, ends, strict=True)]


def names_in(source: str) -> set[str]:
    lines = [line.strip() for line in source.splitlines()]
    asked = [line for line in lines if line and not line.startswith(("#", "-r"))]
    return {normal(NAME.match(line)[1]) for line in asked}  # type: ignore[index]  # As above.


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
