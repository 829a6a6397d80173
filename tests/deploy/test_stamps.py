from pathlib import Path

import pytest

from deploy.local import stamps
from deploy.local.checkout import Checkout


@pytest.fixture
def small(tmp_path: Path) -> Checkout:
    """A checkout with one lock, one migration and one static file."""
    for name in ("requirements-dev.txt", "sending/migrations/0001_queue.py", "static/console.css"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one")
    make_cluster(tmp_path / "var" / "postgres")
    return Checkout(root=tmp_path, var=tmp_path / "var")


def make_cluster(data: Path) -> None:
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("18")


def test_a_second_run_finds_nothing_to_do(small: Checkout) -> None:
    for stamp in (stamps.of_migrations(small, cluster_of(small)), stamps.of_static_files(small)):
        assert not stamp.is_current()
        stamp.write()
    assert stamps.of_migrations(small, cluster_of(small)).is_current()
    assert stamps.of_static_files(small).is_current()


@pytest.mark.parametrize("changed", ["requirements-dev.txt", "sending/migrations/0001_queue.py"])
def test_a_change_is_migrated(small: Checkout, changed: str) -> None:
    stamps.of_migrations(small, cluster_of(small)).write()
    (small.root / changed).write_text("two")
    assert not stamps.of_migrations(small, cluster_of(small)).is_current()


def test_a_cluster_that_was_made_anew_is_migrated(small: Checkout) -> None:
    stamps.of_migrations(small, cluster_of(small)).write()
    (cluster_of(small) / "PG_VERSION").unlink()
    cluster_of(small).rename(small.var / "old")
    make_cluster(cluster_of(small))
    assert not stamps.of_migrations(small, cluster_of(small)).is_current()


def test_a_database_that_others_may_change_is_always_migrated(small: Checkout) -> None:
    stamps.of_migrations(small, None).write()
    assert not stamps.of_migrations(small, None).is_current()


def test_a_new_static_file_is_collected(small: Checkout) -> None:
    stamps.of_static_files(small).write()
    (small.root / "static" / "new.js").write_text("new")
    assert not stamps.of_static_files(small).is_current()


def cluster_of(checkout: Checkout) -> Path:
    return checkout.var / "postgres"
