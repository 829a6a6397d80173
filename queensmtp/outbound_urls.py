"""Which URLs may be dialled: a strict grammar, and the operator's policy. Asks no DNS."""

import base64
import ipaddress
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self
from urllib.parse import unquote_to_bytes

from django.conf import settings

from queensmtp.client_address import Network
from queensmtp.errors import PermanentFailure
from queensmtp.public_addresses import IpAddress, is_ipv4_loopback, is_public, parse

HTTPS_PORT = 443
SYSLOG_TLS_PORT = 6514
LONGEST_URL = 2048

# RFC 3986, narrowed: no fragment, no zone, ASCII only, every escape whole.
URL_GRAMMAR = re.compile(
    r"""
    (?P<scheme>https?)://
    (?:(?P<credentials>(?:[A-Za-z0-9._~!$&'()*+,;=:-]|%[0-9A-Fa-f]{2})+)@)?
    (?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)
    (?::(?P<port>[0-9]{1,5}))?
    (?P<path>/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?
    (?P<query>\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?
    """,
    re.VERBOSE | re.ASCII | re.IGNORECASE,
)
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
# WHATWG URL: a host whose last label is a number is read as an IPv4 address by browsers and libc.
NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


class Reason(StrEnum):
    """Why no usable answer came; stable, stored and shown."""

    INVALID_URL = "invalid_url"
    BLOCKED_PORT = "blocked_port"
    BLOCKED_ADDRESS = "blocked_address"
    DNS = "dns"
    CONNECT = "connect"
    CERTIFICATE = "certificate"
    TLS = "tls"
    TIMEOUT = "timeout"
    DISCONNECTED = "disconnected"
    PROTOCOL = "protocol"


@dataclass(frozen=True)
class Policy:
    """What may be dialled, and how much of an answer is read."""

    allow_loopback: bool = False
    ports: frozenset[int] = frozenset({HTTPS_PORT})
    ca_file: str = ""
    # Of the operator's own network, named by him; whoever may name a URL reaches what is in them.
    private_ranges: tuple[Network, ...] = ()
    # Empty: the system's. (address, port) pairs otherwise.
    nameservers: tuple[tuple[str, int], ...] = ()
    reply_bytes: int = 16_384

    @classmethod
    def from_settings(cls) -> Self:
        return cls(
            allow_loopback=settings.OUTBOUND_ALLOW_LOOPBACK,
            ports=frozenset({HTTPS_PORT, *settings.OUTBOUND_PORTS}),
            ca_file=settings.OUTBOUND_CA_FILE,
            private_ranges=tuple(settings.OUTBOUND_PRIVATE_RANGES),
        )

    def allows(self, address: IpAddress) -> bool:
        return (
            is_public(address)
            or (self.allow_loopback and is_ipv4_loopback(address))
            or any(address in network for network in self.private_ranges)
        )


@dataclass(frozen=True)
class Destination:
    """A URL that passed the grammar and the policy, taken apart."""

    scheme: str
    host: str
    port: int
    path: str
    credentials: str

    @property
    def url(self) -> str:
        """Without credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        standard_port = HTTPS_PORT if self.scheme == "https" else 80
        port = "" if self.port == standard_port else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    @property
    def authorization(self) -> dict[str, str]:
        """RFC 7617; what stood before the `@` never travels in the request line."""
        if not self.credentials:
            return {}
        user, _, password = self.credentials.partition(":")
        pair = unquote_to_bytes(user) + b":" + unquote_to_bytes(password)
        return {"Authorization": "Basic " + base64.b64encode(pair).decode("ascii")}


def check_url(url: str, policy: Policy | None = None) -> Destination:
    """Read a URL and refuse what could never be dialled. Asks no DNS.

    Raises PermanentFailure with reason invalid_url, blocked_port or blocked_address.
    """
    policy = policy or Policy.from_settings()
    match = URL_GRAMMAR.fullmatch(url) if len(url) <= LONGEST_URL else None
    if match is None:
        raise PermanentFailure(
            "The URL must be plain ASCII of the form https://host/path, without a fragment; "
            "write other characters percent-encoded and international names as xn--….",
            reason=Reason.INVALID_URL,
        )
    scheme = match["scheme"].lower()
    host = _check_host(match["host"], policy)
    destination = Destination(
        scheme=scheme,
        host=host,
        port=int(match["port"] or (HTTPS_PORT if scheme == "https" else 80)),
        path=(match["path"] or "/") + (match["query"] or ""),
        credentials=match["credentials"] or "",
    )
    _check_scheme_and_port(destination, policy)
    return destination


def check_stream(host: str, port: int, policy: Policy | None = None) -> Destination:
    """Refuse a host and port that could never be dialled for syslog over TLS (RFC 5425)."""
    policy = policy or Policy.from_settings()
    literal = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return check_url(
        f"https://{literal}:{port}/", replace(policy, ports=policy.ports | {SYSLOG_TLS_PORT})
    )


def _check_host(text: str, policy: Policy) -> str:
    if text.startswith("["):
        return _check_literal(text[1:-1], policy)
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if NUMERIC_LABEL.fullmatch(labels[-1]):
        return _check_literal(text, policy)
    if labels[-1] == "localhost":
        if name == "localhost" and policy.allow_loopback:
            return name
        raise PermanentFailure("The URL names this machine.", reason=Reason.BLOCKED_ADDRESS)
    if len(name) > 253 or len(labels) < 2 or not all(map(LABEL.fullmatch, labels)):
        raise PermanentFailure("The URL has no valid host name.", reason=Reason.INVALID_URL)
    return name


def _check_literal(text: str, policy: Policy) -> str:
    try:
        address = parse(text)
    except ValueError:
        raise PermanentFailure(
            "The URL's address is not written in its canonical form.",
            reason=Reason.BLOCKED_ADDRESS,
        ) from None
    if not policy.allows(address):
        raise PermanentFailure(
            "The URL's address is not a public one.", reason=Reason.BLOCKED_ADDRESS
        )
    return str(address)


def _check_scheme_and_port(destination: Destination, policy: Policy) -> None:
    if policy.allow_loopback and _is_loopback_host(destination.host):
        if not 0 < destination.port < 65536:
            raise PermanentFailure("The URL's port does not exist.", reason=Reason.BLOCKED_PORT)
        return
    if destination.scheme != "https":
        raise PermanentFailure("The URL must begin with https://.", reason=Reason.INVALID_URL)
    if destination.port not in policy.ports:
        ports = ", ".join(map(str, sorted(policy.ports)))
        raise PermanentFailure(
            f"The URL's port is {destination.port}; allowed here: {ports}. "
            "The operator can allow others with OUTBOUND_PORTS.",
            reason=Reason.BLOCKED_PORT,
        )


def _is_loopback_host(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return is_ipv4_loopback(ipaddress.ip_address(host))
    except ValueError:
        return False
