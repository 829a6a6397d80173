from pathlib import Path

import pytest

from deploy.local import bootstrap
from deploy.local.errors import LocalError

LOCK = """\
# via uv
typer==1.0 \\
    --hash=sha256:aa
uv==0.9.1 \\
    --hash=sha256:bb \\
    --hash=sha256:cc
    # via -r requirements-dev.in
vine==5.1 \\
    --hash=sha256:dd
"""


def test_uv_is_taken_from_the_lock_with_its_hashes_and_nothing_else() -> None:
    assert bootstrap.requirement_of("uv", LOCK) == (
        "uv==0.9.1 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
    )


def test_the_real_lock_pins_uv() -> None:
    assert "--hash=sha256:" in bootstrap.requirement_of("uv", bootstrap.LOCK.read_text())


def test_a_changed_lock_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = bootstrap.fingerprint_of_lock()
    changed = tmp_path / "lock.txt"
    changed.write_text(bootstrap.LOCK.read_text() + "\n")
    monkeypatch.setattr(bootstrap, "LOCK", changed)
    assert bootstrap.fingerprint_of_lock() != before


def test_an_old_python_is_refused_with_the_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "OLDEST_PYTHON", (99, 0))
    with pytest.raises(LocalError, match="make PYTHON="):
        bootstrap.require_python()


def test_uv_is_told_of_an_index_that_only_pip_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_DEFAULT_INDEX", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://packages.example/simple")
    assert bootstrap.environment()["UV_DEFAULT_INDEX"] == "https://packages.example/simple"
