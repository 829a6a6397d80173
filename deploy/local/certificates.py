"""A certificate authority for this checkout alone, and the server certificate it signs.

The authority may sign nothing but loopback names: whoever trusts it in a browser, and then
loses its key, has lost nothing that matters.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.local.secret_files import write_private

AUTHORITY_LIFE = timedelta(days=3650)
SERVER_LIFE = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
# Clocks differ a little between a machine and its containers.
CLOCK_SKEW = timedelta(hours=1)
LOOPBACK_NAMES: tuple[x509.GeneralName, ...] = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
)


@dataclass(frozen=True)
class LocalTls:
    authority: Path
    authority_key: Path
    certificate: Path
    key: Path


def files_in(folder: Path) -> LocalTls:
    return LocalTls(
        authority=folder / "ca.pem",
        authority_key=folder / "ca.key",
        certificate=folder / "server.pem",
        key=folder / "server.key",
    )


def ensure(folder: Path, *, now: datetime | None = None) -> LocalTls:
    now = now or datetime.now(UTC)
    files = files_in(folder)
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    if not is_sound(files.authority, files.authority_key, now=now):
        make_authority(files, now=now)
        make_server(files, now=now)
    elif not is_sound(files.certificate, files.key, now=now) or not is_signed_by_authority(files):
        make_server(files, now=now)
    return files


def is_sound(certificate: Path, key: Path, *, now: datetime) -> bool:
    """Readable, a pair, and not near its end."""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        private = serialization.load_pem_private_key(key.read_bytes(), password=None)
    except (OSError, ValueError):
        return False
    is_pair = found.public_key() == private.public_key()
    return is_pair and found.not_valid_before_utc <= now < found.not_valid_after_utc - RENEW_BEFORE


def is_signed_by_authority(files: LocalTls) -> bool:
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    server = x509.load_pem_x509_certificate(files.certificate.read_bytes())
    try:
        server.verify_directly_issued_by(authority)
    except Exception:  # noqa: BLE001 - it raises three unrelated kinds; each means no.
        return False
    return True


def make_authority(files: LocalTls, *, now: datetime) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("QueenSMTP local authority")
    certificate = (
        _builder(subject=name, issuer=name, public_key=key.public_key())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(_only_loopback(), critical=True)
        .sign(key, hashes.SHA256())
    )
    _write(files.authority, files.authority_key, certificate, key)


def make_server(files: LocalTls, *, now: datetime) -> None:
    authority = x509.load_pem_x509_certificate(files.authority.read_bytes())
    authority_key = serialization.load_pem_private_key(
        files.authority_key.read_bytes(), password=None
    )
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name("localhost"), issuer=authority.subject, public_key=key.public_key())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(min(now + SERVER_LIFE, authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(LOOPBACK_NAMES), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    _write(files.certificate, files.key, certificate, key)


def _builder(
    subject: x509.Name, *, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _only_loopback() -> x509.NameConstraints:
    return x509.NameConstraints(
        permitted_subtrees=[
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_network("127.0.0.0/8")),
            x509.IPAddress(ipaddress.ip_network("::1/128")),
        ],
        excluded_subtrees=None,
    )


def _write(
    path: Path, key_path: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey
) -> None:
    write_private(
        key_path,
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,  # The only form that granian reads.
            serialization.NoEncryption(),
        ),
    )
    write_private(path, certificate.public_bytes(serialization.Encoding.PEM))
