import os
import tempfile
from pathlib import Path

import pytest

from deploy.local import places
from deploy.local.checkout import ROOT, Checkout
from deploy.local.errors import LocalError
from deploy.local.server_user import ourselves


def test_the_socket_path_fits_however_deep_the_checkout_lies(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-rather-long-folder-name"] * 8)
    deep.mkdir(parents=True)
    chosen = places.choose(Checkout(root=ROOT, var=deep), {})
    assert places.fits(chosen.sockets)


def test_a_runtime_folder_that_is_too_long_is_passed_over(tmp_path: Path) -> None:
    runtime = tmp_path / ("r" * 100)
    runtime.mkdir()
    environ = {"XDG_RUNTIME_DIR": str(runtime)}
    checkout = Checkout(root=ROOT, var=tmp_path)
    assert places.socket_folder(checkout, ourselves(), environ).parent == Path("/tmp")


def test_a_fitting_runtime_folder_is_preferred_to_everybodys_tmp() -> None:
    with tempfile.TemporaryDirectory(prefix="run-") as runtime:
        checkout, environ = Checkout(root=ROOT, var=ROOT), {"XDG_RUNTIME_DIR": runtime}
        assert places.socket_folder(checkout, ourselves(), environ).parent == Path(runtime)


def test_two_checkouts_never_share_a_socket_folder(tmp_path: Path) -> None:
    one, other = (
        places.choose(Checkout(root=ROOT, var=tmp_path / name), {}) for name in ("one", "other")
    )
    assert one.sockets != other.sockets


@pytest.mark.parametrize("trap", ["open to all", "symbolic link"])
def test_a_folder_that_somebody_laid_out_is_refused(tmp_path: Path, trap: str) -> None:
    sockets = tmp_path / "sockets"
    if trap == "open to all":
        sockets.mkdir(mode=0o755)
    else:
        (tmp_path / "theirs").mkdir(mode=0o700)
        sockets.symlink_to(tmp_path / "theirs")
    with pytest.raises(LocalError, match="not a closed folder of our own"):
        places.make_folders(places.Places(ourselves(), tmp_path, sockets))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops to another user")
def test_root_keeps_data_outside_when_the_servers_user_cannot_reach_the_checkout(
    tmp_path: Path,
) -> None:
    tmp_path.chmod(0o700)
    checkout = Checkout(root=ROOT, var=tmp_path / "var")
    checkout.var.mkdir()
    assert places.choose(checkout, {}).data == places.outside_folder(checkout)
    assert not places.outside_folder(checkout).exists()
