"""queensmtp scan: git history, and the hook before a commit."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from apikeys import tokens
from apikeys.tokens import Environment
from tests.sdk_python.command import commit, environment, git, make_repository, scan

KEY, OTHER = tokens.mint(Environment.PRODUCTION), tokens.mint(Environment.STAGING)
SHOWN = f"{KEY.prefix}…{KEY.last4}"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = make_repository(tmp_path / "work")
    commit(folder, "readme", "hello\n")
    return folder


def found_in(folder: Path, *options: str) -> list[dict[str, Any]]:
    ran = scan("--json", *options, ".", folder=folder)
    body = json.loads(ran.stdout)
    assert body["errors"] == [], body
    assert ran.returncode == (1 if body["findings"] else 0)
    found: list[dict[str, Any]] = body["findings"]
    return found


def test_finds_a_key_that_was_removed_since(repository: Path) -> None:
    leaked = commit(repository, "config.py", f"\nKEY = '{KEY.text}'\n")
    commit(repository, "config.py", "\nKEY = ''\n")

    ran = scan(".", folder=repository)

    assert (ran.returncode, ran.stdout) == (1, f"{leaked[:12]}:config.py:2: {SHOWN}\n")
    assert scan("--no-history", ".", folder=repository).returncode == 0


def test_names_the_commit_that_brought_it_and_once_only(repository: Path) -> None:
    leaked = commit(repository, "a.env", KEY.text)
    git(repository, "mv", "a.env", "b.env")
    git(repository, "commit", "-q", "-m", "Move it.")
    commit(repository, "c.txt", "something else")

    places = [(one["commit"], one["path"]) for one in found_in(repository)]

    assert places == [(None, "b.env"), (leaked, "a.env")]


def test_looks_on_every_branch_and_tag(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "side")
    on_branch = commit(repository, "branch.txt", KEY.text)
    git(repository, "checkout", "-q", "--detach", "main")
    on_tag = commit(repository, "tag.txt", OTHER.text)
    git(repository, "tag", "-a", "v1", "-m", f"with {KEY.text}")
    git(repository, "checkout", "-q", "main")

    places = {(one["commit"], one["path"]) for one in found_in(repository)}

    tag = git(repository, "rev-parse", "v1").stdout.strip()
    assert places == {(on_branch, "branch.txt"), (on_tag, "tag.txt"), (tag, "(message)")}


def test_looks_at_stashes_and_at_what_an_amend_left_behind(repository: Path) -> None:
    amended = commit(repository, "readme", KEY.text)
    (repository / "readme").write_text("hello again\n")
    git(repository, "commit", "-q", "-a", "--amend", "-m", "Amended.")
    (repository / "readme").write_text(OTHER.text)
    git(repository, "stash", "-q")

    found = found_in(repository)

    assert {one["prefix"] for one in found} == {KEY.prefix, OTHER.prefix}
    assert amended in {one["commit"] for one in found}


def test_looks_at_the_messages_of_commits(repository: Path) -> None:
    told = commit(repository, "a", "a", f"Use\n\nthe key {KEY.text}")

    (found,) = found_in(repository)

    assert (found["commit"], found["path"]) == (told, "(message)")


def test_finds_what_only_a_merge_brought(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "side")
    commit(repository, "side", "side")
    git(repository, "checkout", "-q", "main")
    commit(repository, "main", "main")
    git(repository, "merge", "-q", "--no-commit", "--no-ff", "side")
    merge = commit(repository, "evil", KEY.text)
    commit(repository, "evil", None)

    assert [(one["commit"], one["path"]) for one in found_in(repository)] == [(merge, "evil")]


def test_finds_it_in_binary_versions_and_past_odd_names(repository: Path) -> None:
    (repository / "a b\tü.bin").write_bytes(bytes(range(256)) + KEY.text.encode())
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Add it.")
    commit(repository, "a b\tü.bin", None)

    assert len(found_in(repository)) == 1


def test_takes_a_bare_repository_and_one_deep_in_a_folder(repository: Path, tmp_path: Path) -> None:
    leaked = commit(repository, "a", KEY.text)
    commit(repository, "a", None)
    outer = tmp_path / "outer"
    (outer / "deep").mkdir(parents=True)
    git(tmp_path, "clone", "-q", "--bare", str(repository), str(outer / "deep" / "bare.git"))

    assert [one["commit"] for one in found_in(outer)] == [leaked]


def test_says_that_a_shallow_clone_hides_the_past(repository: Path, tmp_path: Path) -> None:
    commit(repository, "a", KEY.text)
    commit(repository, "a", None)
    address = f"file://{repository}"
    git(tmp_path, "clone", "-q", "--depth", "1", address, str(tmp_path / "shallow"))

    ran = scan("shallow", folder=tmp_path)

    assert ran.returncode == 0
    assert ran.stderr == "note: shallow: a shallow clone, older history was not looked at\n"


def test_an_empty_repository_has_no_history(tmp_path: Path) -> None:
    assert found_in(make_repository(tmp_path / "empty")) == []


def test_a_broken_repository_is_2(repository: Path) -> None:
    (repository / ".git" / "HEAD").write_text("nonsense")

    ran = scan(".", folder=repository)

    assert ran.returncode == 2
    assert ran.stderr.startswith("error: git ")


def test_runs_nothing_that_the_repository_configures(repository: Path) -> None:
    """Whoever scans a stranger's checkout must not run a stranger's programs."""
    (repository / ".gitattributes").write_text("* diff=evil filter=evil\n")
    commit(repository, "a", KEY.text)
    mark = f"touch {repository / 'was-run'}"
    for name in ("core.fsmonitor", "diff.evil.textconv", "diff.evil.command", "diff.external"):
        git(repository, "config", name, mark)
    (repository / "a").write_text("changed")

    scan(".", "--staged", folder=repository)

    assert not (repository / "was-run").exists()


def test_staged_looks_at_what_the_commit_would_hold(repository: Path) -> None:
    (repository / "a.env").write_text(f"\n{KEY.text}\n")
    git(repository, "add", "a.env")
    (repository / "a.env").write_text("mended, and not added\n")
    (repository / "b.env").write_text(OTHER.text)

    ran = scan("--staged", folder=repository)

    assert (ran.returncode, ran.stdout) == (1, f"a.env:2: {SHOWN}\n")


def test_what_is_removed_or_is_another_repository_holds_no_key(repository: Path) -> None:
    git(repository, "rm", "-q", "readme")
    head = git(repository, "rev-parse", "HEAD").stdout.strip()
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},module")

    ran = scan("--staged", folder=repository)

    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_hook_refuses_the_commit(repository: Path) -> None:
    hook = repository / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nexec '{sys.executable}' -m queensmtp scan --staged\n")
    hook.chmod(0o755)
    before = git(repository, "rev-parse", "HEAD").stdout
    (repository / "a.env").write_text(KEY.text)
    git(repository, "add", "-A")

    refused = git(repository, "commit", "-m", "Leak it.", check=False)

    assert refused.returncode == 1
    assert SHOWN in refused.stdout + refused.stderr
    assert git(repository, "rev-parse", "HEAD").stdout == before
    commit(repository, "a.env", "KEY=\n")


def test_a_hooks_own_repository_is_not_the_one_it_was_asked_about(
    repository: Path, tmp_path: Path
) -> None:
    leaked = commit(repository, "a", KEY.text)
    commit(repository, "a", None)
    clean = make_repository(tmp_path / "clean")

    ran = scan(repository, folder=tmp_path, env={"GIT_DIR": str(clean / ".git")})

    assert leaked[:12] in ran.stdout


def test_a_pre_commit_framework_hands_over_files(repository: Path) -> None:
    (repository / "a.env").write_text(KEY.text)
    assert "PYTHONPATH" in environment()

    ran = scan("readme", "a.env", folder=repository)

    assert (ran.returncode, ran.stdout) == (1, f"a.env:1: {SHOWN}\n")
