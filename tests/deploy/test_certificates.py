import ipaddress
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from deploy.local import certificates


@pytest.mark.parametrize(
    "name",
    [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
    ],
)
def test_the_certificate_holds_for_every_loopback_name(
    tmp_path: Path, name: x509.DNSName | x509.IPAddress
) -> None:
    files = certificates.ensure(tmp_path / "tls")
    verify(files, name)


def test_it_does_not_hold_for_another_name(tmp_path: Path) -> None:
    files = certificates.ensure(tmp_path / "tls")
    with pytest.raises(VerificationError):
        verify(files, x509.DNSName("mail.example"))


def test_the_keys_are_pkcs8_and_private(tmp_path: Path) -> None:
    files = certificates.ensure(tmp_path / "tls")
    for key in (files.key, files.authority_key):
        assert key.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")
        assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_a_sound_certificate_is_kept(tmp_path: Path) -> None:
    before = certificates.ensure(tmp_path).certificate.read_bytes()
    assert certificates.ensure(tmp_path).certificate.read_bytes() == before


def test_near_its_end_it_is_renewed_by_the_same_authority(tmp_path: Path) -> None:
    files = certificates.ensure(tmp_path)
    authority, server = files.authority.read_bytes(), files.certificate.read_bytes()
    certificates.ensure(tmp_path, now=datetime.now(UTC) + timedelta(days=340))
    assert files.certificate.read_bytes() != server
    assert files.authority.read_bytes() == authority


@pytest.mark.parametrize("damaged", ["certificate", "key", "authority", "authority_key"])
def test_an_unreadable_file_is_replaced(tmp_path: Path, damaged: str) -> None:
    files = certificates.ensure(tmp_path)
    getattr(files, damaged).write_text("not a PEM")
    verify(certificates.ensure(tmp_path), x509.DNSName("localhost"))


def test_the_key_of_another_certificate_is_noticed(tmp_path: Path) -> None:
    files = certificates.ensure(tmp_path)
    files.key.write_bytes(files.authority_key.read_bytes())
    certificates.ensure(tmp_path)
    private = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
    certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    assert private.public_key() == certificate.public_key()


def test_a_certificate_of_another_authority_is_replaced(tmp_path: Path) -> None:
    files = certificates.ensure(tmp_path / "one")
    other = certificates.ensure(tmp_path / "other")
    files.authority.write_bytes(other.authority.read_bytes())
    files.authority_key.write_bytes(other.authority_key.read_bytes())
    verify(certificates.ensure(tmp_path / "one"), x509.DNSName("localhost"))


def verify(files: certificates.LocalTls, name: x509.DNSName | x509.IPAddress) -> None:
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    server = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    PolicyBuilder().store(Store([authority])).build_server_verifier(name).verify(server, [])
