import base64
import stat
from pathlib import Path

import pytest

from deploy.local import secret_files
from deploy.local.errors import LocalError


def test_secrets_are_made_once_and_stay(tmp_path: Path) -> None:
    secret_files.ensure(tmp_path)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    secret_files.ensure(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before
    assert set(before) == {
        *("secret_key", "key_peppers", "encryption_keys", "link_keys", "audit_signing_key"),
        "metrics_token",
    }


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    secret_files.ensure(tmp_path / "secrets")
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    for path in (tmp_path / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["key_peppers", "encryption_keys"])
def test_numbered_keys_hold_32_bytes(tmp_path: Path, name: str) -> None:
    secret_files.ensure(tmp_path)
    number, _, key = (tmp_path / name).read_text().strip().partition(":")
    assert number == "1"
    assert len(base64.b64decode(key)) == 32


def test_an_emptied_secret_is_never_replaced(tmp_path: Path) -> None:
    secret_files.ensure(tmp_path)
    (tmp_path / "encryption_keys").write_text("")
    with pytest.raises(LocalError, match="put the old secret back"):
        secret_files.ensure(tmp_path)


def test_the_public_log_key_belongs_to_the_seed(tmp_path: Path) -> None:
    secret_files.ensure(tmp_path)
    # RFC 8032, section 7.1, test 1.
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    (tmp_path / "audit_signing_key").write_text(base64.b64encode(seed).decode())
    public = base64.b64decode(secret_files.audit_public_key(tmp_path))
    assert public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
