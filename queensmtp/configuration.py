"""Reads settings from the environment, and stops the start with one line when one is wrong."""

import base64
import binascii
import ipaddress
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import environ
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.core.exceptions import ImproperlyConfigured

from queensmtp.client_address import Network
from queensmtp.public_addresses import is_private_range

environment = environ.Env()


def secret(name: str, *, default: str | None = None) -> str:
    """The secret in NAME, or in the file that NAME_FILE names."""
    path = os.environ.get(f"{name}_FILE")
    if path:
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise ImproperlyConfigured(
                f"{name}_FILE names {path}, which cannot be read ({error.strerror}): "
                f"make it readable, or set {name} instead."
            ) from None
    value = os.environ.get(name, default)
    if not value:
        raise ImproperlyConfigured(
            f"{name} is not set: set {name}, or {name}_FILE to the path of a file that holds it."
        )
    return value


def optional_secret(name: str) -> str:
    """Like `secret`, but '' when it is not given."""
    given = os.environ.get(name) or os.environ.get(f"{name}_FILE")
    return secret(name) if given else ""


def numbered_keys(name: str) -> list[tuple[int, str]]:
    """`2:<base64 of 32 bytes>,1:<base64 of 32 bytes>`: newest first, each with its number."""
    found = []
    for part in secret(name).split(","):
        number, colon, encoded = part.strip().partition(":")
        if not (colon and number.isdigit() and 0 < int(number) < 256 and _is_32_bytes(encoded)):
            raise ImproperlyConfigured(
                f"{name} must read `1:<base64 of 32 bytes>`, several separated by commas, newest "
                f"first; `openssl rand -base64 32` makes one."
            )
        found.append((int(number), encoded))
    return found


def signing_keys(name: str) -> dict[str, EllipticCurvePublicKey]:
    """Public P-256 keys by identifier, as GitHub publishes them for secret scanning; {} when
    unset. A key that is no longer current counts for nothing."""
    text = optional_secret(name)
    try:
        listed = json.loads(text)["public_keys"] if text else []
        return {one["key_identifier"]: _p256(one["key"]) for one in listed if one["is_current"]}
    except (ValueError, KeyError, TypeError, UnsupportedAlgorithm):
        raise ImproperlyConfigured(
            f"{name} must hold the JSON that GitHub publishes under meta/public_keys/"
            f"secret_scanning, with P-256 keys in PEM: save that as a file and set {name}_FILE."
        ) from None


def database(name: str) -> dict[str, Any]:
    """A database from its URL; the host may be a percent-encoded socket folder."""
    if not os.environ.get(name):
        raise ImproperlyConfigured(
            f"{name} is not set: give a URL such as postgres://app:password@host:5432/queensmtp "
            f"(`make up` makes one for the embedded server)."
        )
    if not os.environ[name].startswith(("postgres://", "postgresql://")):
        raise ImproperlyConfigured(
            f"{name} is no Postgres URL: write it like postgres://app:password@host:5432/queensmtp."
        )
    found: dict[str, Any] = environment.db(name)
    found["HOST"] = unquote(found.get("HOST") or "")
    return found


def networks(name: str) -> list[Network]:
    """Address ranges, separated by commas."""
    found = []
    for text in environment.list(name, default=[]):
        try:
            found.append(ipaddress.ip_network(text.strip()))
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name} holds {text!r}, which is no address range ({error}): "
                f"write it like 10.0.0.0/8."
            ) from None
    return found


def private_networks(name: str) -> list[Network]:
    """Address ranges of the operator's own network; nothing that a tenant must never reach."""
    found = networks(name)
    for network in found:
        if not is_private_range(network):
            raise ImproperlyConfigured(
                f"{name} holds {network}, which is not wholly private, or holds a cloud's metadata "
                "address: name the narrowest range inside 10.0.0.0/8, 172.16.0.0/12, "
                "192.168.0.0/16, 100.64.0.0/10 or fc00::/7 that your receivers are in."
            )
    return found


def number(name: str, *, default: int, at_least: int = 0) -> int:
    """A whole number."""
    text = os.environ.get(name, str(default))
    if not text.isdigit() or int(text) < at_least:
        raise ImproperlyConfigured(
            f"{name} is {text!r}: give a whole number of at least {at_least}."
        )
    return int(text)


def numbers(name: str, *, default: list[int]) -> list[int]:
    """Whole numbers, separated by commas."""
    texts = os.environ.get(name, ",".join(map(str, default)))
    parts = [part.strip() for part in texts.split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise ImproperlyConfigured(f"{name} is {texts!r}: give whole numbers, separated by commas.")
    return [int(part) for part in parts]


def counts(name: str, *, of: tuple[str, ...]) -> dict[str, int]:
    """`team=1000,community=100`: a whole number for some of the names; {} when unset."""
    found = {}
    for part in filter(None, (one.strip() for one in os.environ.get(name, "").split(","))):
        key, _, number = (one.strip() for one in part.partition("="))
        if key not in of or not (number.isascii() and number.isdigit() and int(number) > 0):
            raise ImproperlyConfigured(
                f"{name} holds {part!r}: write it like {of[0]}=1000, with one of "
                f"{', '.join(of)} and a whole number above 0; a name left out has no limit."
            )
        found[key] = int(number)
    return found


def choice(name: str, *, options: tuple[str, ...], default: str) -> str:
    """One of a closed list."""
    value = os.environ.get(name, default)
    if value not in options:
        raise ImproperlyConfigured(f"{name} is {value!r}: choose one of {', '.join(options)}.")
    return value


def flag(name: str, *, default: bool) -> bool:
    """true or false."""
    text = os.environ.get(name, str(default)).lower()
    if text not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
        raise ImproperlyConfigured(f"{name} is {text!r}: write true or false.")
    return text in ("true", "1", "yes", "on")


def _p256(pem: str) -> EllipticCurvePublicKey:
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise ValueError("not a P-256 key")
    return key


def _is_32_bytes(encoded: str) -> bool:
    try:
        return len(base64.b64decode(encoded, validate=True)) == 32
    except binascii.Error:
        return False
