"""A stranger's program, made of pymerkle and none of our code, reads what we hand out."""

import json
import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest

from auditlog import log_keys
from deploy.local.checkout import ROOT
from tests.factories.auditlog import leave_waiting, record_many
from tests.sdk_verify.conftest import Files, changed

pytestmark = pytest.mark.django_db

SCRIPT = ROOT / "sdks" / "foreign" / "check_with_pymerkle.py"


def check(*paths: Path) -> subprocess.CompletedProcess[str]:
    key = b64encode(log_keys.public_keys()[0]).decode()
    return subprocess.run(
        [sys.executable, "-I", str(SCRIPT), key, *map(str, paths)],
        # In isolation, so that nothing of ours can be imported.
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_it_imports_nothing_of_ours() -> None:
    imports = [
        line for line in SCRIPT.read_text().splitlines() if line.startswith(("import", "from"))
    ]
    assert {line.split()[1].partition(".")[0] for line in imports} == {
        *("base64", "hashlib", "json", "sys"),
        *("cryptography", "pymerkle"),
    }


def test_it_verifies_exports_and_their_consistency(files: Files) -> None:
    older = files.export(event="domain.created")
    leave_waiting(700, files.cast.hive.pk)
    record_many(20, files.cast.hive.pk, event="domain.created")
    newer = files.export(event="domain.created")
    sizes = [
        json.loads(path.read_bytes().splitlines()[0])["checkpoint"]["size"]
        for path in (older, newer)
    ]
    ran = check(newer, older, files.consistency(*sizes))
    assert ran.returncode == 0, ran.stderr
    assert "26 entries are in the log" in ran.stdout
    assert f"the log of {sizes[1]} leaves begins with the log of {sizes[0]}" in ran.stdout

    wrong = files.write(b'{"hashes": []}')
    assert check(newer, older, wrong).returncode != 0


def test_it_finds_what_was_changed(files: Files) -> None:
    path = files.export(event="domain.created")
    assert check(path).returncode == 0
    for name, value in (("event", "domain.deleted"), ("user_agent", "x"), ("leaf_index", 0)):
        tampered = changed(files, path, lambda lines: lines[2].__setitem__(name, value))  # noqa: B023
        assert check(tampered).returncode != 0, name
