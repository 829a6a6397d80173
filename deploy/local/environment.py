"""The settings that the local platform gives to its processes. docs/settings.md tells of each."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local import secret_files
from deploy.local.certificates import LocalTls
from deploy.local.checkout import Checkout
from deploy.local.errors import LocalError
from deploy.local.ports import Ports

DATABASE_URLS = ("DATABASE_URL", "DATABASE_WORKER_URL", "DATABASE_OWNER_URL")
# What only some processes are given.
NARROW = ("KEY_PEPPERS", "AUDIT_SIGNING_KEY", "METRICS_TOKEN")
# What belongs to the shell that typed `make` and would mislead our Python.
NOT_INHERITED = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")


@dataclass(frozen=True)
class Addresses:
    """Where Postgres and Valkey are: embedded, or what the user's settings name."""

    app: str
    worker: str
    owner: str
    redis: str
    superuser: str = ""
    # Of the embedded Postgres only.
    cluster: Path | None = None


def database_is_given(environ: Mapping[str, str]) -> bool:
    given = [name for name in DATABASE_URLS if environ.get(name)]
    missing = [name for name in DATABASE_URLS if not environ.get(name)]
    if given and missing:
        raise LocalError(
            f"{', '.join(given)} is set but {', '.join(missing)} is not: "
            "set all three roles (docs/settings.md), or none for the embedded Postgres"
        )
    return bool(given)


def shared(
    checkout: Checkout,
    ports: Ports,
    tls: LocalTls,
    addresses: Addresses,
    environ: Mapping[str, str],
) -> dict[str, str]:
    """What every process gets. A setting that the user made stands."""
    ours = {
        "QUEENSMTP_MODE": "embedded",
        "QUEENSMTP_VAR": str(checkout.var),
        "QUEENSMTP_PORT_BASE": str(ports.base),
        "REDIS_URL": addresses.redis,
        "AUDIT_PUBLIC_KEY": secret_files.audit_public_key(checkout.secrets),
        "TLS_CERT_FILE": str(tls.certificate),
        "TLS_KEY_FILE": str(tls.key),
        "LOCAL_CA_FILE": str(tls.authority),
        "INBOX_DIR": str(checkout.var / "inbox"),
        "STATIC_ROOT": str(checkout.var / "static"),
        "OUTBOUND_CA_FILE": str(tls.authority),
        "OUTBOUND_ALLOW_LOOPBACK": "true",
        "DELIVERY_TRANSPORT": "inbox",
        "OPERATOR_ADDRESS": "operator@demo.example",
        "DOMAIN_DNS_RESOLVERS": "127.0.0.1",
        "DOMAIN_DNS_PORT": str(ports.dns.number),
        "DEMO_WEBHOOK_SECRET_FILE": str(checkout.var / "demo-webhook-secret"),
        "DEMO_WEBHOOK_LOG": str(checkout.var / "demo-webhooks.jsonl"),
        "DJANGO_SETTINGS_MODULE": "queensmtp.settings",
        "PYTHONUNBUFFERED": "1",
    }
    for name in ("SECRET_KEY", "ENCRYPTION_KEYS", "LINK_KEYS"):
        ours.update(_secret(name, checkout, environ))
    return {**ours, **_inherited(environ)}


def of_process(
    kind: str, checkout: Checkout, addresses: Addresses, environ: Mapping[str, str]
) -> dict[str, str]:
    """Each kind gets the address of its own role and no other; peppers only where keys are read."""
    own = {"QUEENSMTP_PROCESS": kind}
    match kind:
        case "web":
            peppers = _secret("KEY_PEPPERS", checkout, environ)
            return {**own, **peppers, "DATABASE_URL": addresses.app}
        case "worker":
            return {**own, "DATABASE_WORKER_URL": addresses.worker}
        case "owner":
            return {**own, "DATABASE_OWNER_URL": addresses.owner}
    raise ValueError(kind)


def of_https(checkout: Checkout, environ: Mapping[str, str]) -> dict[str, str]:
    """The token of /metrics, for the one process that asks for it."""
    return _secret("METRICS_TOKEN", checkout, environ)


def of_sealer(checkout: Checkout, environ: Mapping[str, str]) -> dict[str, str]:
    """The log key, for the one process that signs checkpoints, and where it keeps what it signed
    outside the database. A setting that the user made stands."""
    audit = checkout.var / "audit"
    kept = {
        "AUDIT_MEMORY_FILE": str(audit / "memory.sqlite3"),
        "AUDIT_CHECKPOINTS_FILE": str(audit / "checkpoints.jsonl"),
    }
    chosen = {name: environ.get(name) or path for name, path in kept.items()}
    return {**_secret("AUDIT_SIGNING_KEY", checkout, environ), **chosen}


def of_command(
    checkout: Checkout, addresses: Addresses, environ: Mapping[str, str]
) -> dict[str, str]:
    """For tests and for commands typed by hand: every role and every secret."""
    given = {
        **_secret("KEY_PEPPERS", checkout, environ),
        **_secret("AUDIT_SIGNING_KEY", checkout, environ),
        "DATABASE_URL": addresses.app,
        "DATABASE_WORKER_URL": addresses.worker,
        "DATABASE_OWNER_URL": addresses.owner,
        "DATABASE_ADMIN_URL": addresses.superuser,
    }
    return {name: value for name, value in given.items() if value}


def _secret(name: str, checkout: Checkout, environ: Mapping[str, str]) -> dict[str, str]:
    """The user's own, however it was given; else the one that was made for this checkout."""
    for given in (f"{name}_FILE", name):
        if environ.get(given):
            return {given: environ[given]}
    return {f"{name}_FILE": str(checkout.secrets / name.lower())}


def _inherited(environ: Mapping[str, str]) -> dict[str, str]:
    narrow = {variable for name in NARROW for variable in (name, f"{name}_FILE")}
    left_out = {*NOT_INHERITED, *DATABASE_URLS, "DATABASE_ADMIN_URL", *narrow}
    return {name: value for name, value in environ.items() if name not in left_out and value}


def search_path(checkout: Checkout, environ: Mapping[str, str]) -> str:
    return os.pathsep.join([str(checkout.python.parent), environ.get("PATH", os.defpath)])
