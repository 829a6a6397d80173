"""GET /.well-known/audit-log-keys, and the rotation of the log's key (I14)."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import LazySettings
from django.test import Client

from auditlog import log_keys, verification
from auditlog.models import Head
from queensmtp.tenancy import tenant
from tests.factories.auditlog import HIVE, record_many, seal

pytestmark = pytest.mark.django_db


def public(key: Ed25519PrivateKey) -> str:
    return b64encode(key.public_key().public_bytes_raw()).decode()


def test_anybody_may_read_the_public_keys(client: Client) -> None:
    answer = client.get("/.well-known/audit-log-keys", secure=True)
    body = answer.json()
    assert (answer.status_code, body["object"], body["host"]) == (
        200,
        "audit_log_keys",
        "localhost",
    )
    assert [key["public_key"] for key in body["keys"]] == [
        b64encode(key).decode() for key in log_keys.public_keys()
    ]
    assert body["witnesses"] == []


def test_nobody_may_write_there(client: Client) -> None:
    assert client.post("/.well-known/audit-log-keys", secure=True).status_code == 405


def test_a_log_goes_on_under_a_new_key_and_both_are_published(
    settings: LazySettings, client: Client
) -> None:
    record_many(3)
    seal()
    old = settings.AUDIT_PUBLIC_KEY
    new = Ed25519PrivateKey.generate()
    # First every process learns the new public key, then the sealer signs with it.
    settings.AUDIT_PUBLIC_KEY = f"{public(new)},{old}"
    record_many(1)
    seal()
    settings.AUDIT_SIGNING_KEY = b64encode(new.private_bytes_raw()).decode()
    record_many(3)
    assert seal().set_aside == frozenset()
    with tenant(HIVE):
        assert verification.verify(HIVE) == []
        assert Head.objects.get().size == 7
    keys = client.get("/.well-known/audit-log-keys", secure=True).json()["keys"]
    assert [key["public_key"] for key in keys] == [public(new), old]


def test_a_log_whose_old_key_is_forgotten_is_not_built_upon(settings: LazySettings) -> None:
    record_many(3)
    seal()
    new = Ed25519PrivateKey.generate()
    settings.AUDIT_PUBLIC_KEY = public(new)
    settings.AUDIT_SIGNING_KEY = b64encode(new.private_bytes_raw()).decode()
    record_many(1)
    assert seal().set_aside == frozenset({HIVE})
