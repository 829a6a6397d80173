"""The one HTTP client that opens addresses which customers name.

A tenant may point a webhook anywhere, so what keeps us out of the operator's own network stands
here and nowhere else:

* the URL is read by a strict grammar, so that no two parsers can disagree about its host;
* names are resolved when dialling, every answer must be public by our own table, and the address
  that was checked is the address that is dialled (the name stays in SNI and Host);
* no redirect, no cookie, no proxy, no decompression; bounds on time, headers and body.

`submit` and `send` may be called from any thread: one event loop per process carries the
connections and keeps them alive between calls.
"""

import asyncio
import atexit
import base64
import ipaddress
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self
from urllib.parse import unquote_to_bytes

import aiohttp
import dns.asyncresolver
import dns.exception
import dns.nameserver
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_reqrep import ClientResponse
from aiohttp.connector import AddrInfoType, Connection
from django.conf import settings
from yarl import URL

from queensmtp.errors import DeliveryFailure, PermanentFailure, TemporaryFailure
from queensmtp.public_addresses import IpAddress, is_ipv4_loopback, is_public, parse

USER_AGENT = "QueenSMTP"
HTTPS_PORT = 443
LONGEST_URL = 2048
MOST_HEADERS = 100
LONGEST_HEADER_BYTES = 8190
# A name may have many addresses; all of them are checked, this many are tried.
MOST_DIALLED_ADDRESSES = 8
DNS_SECONDS = 5.0
CONNECT_SECONDS = 5.0
KEEP_ALIVE_SECONDS = 30.0

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
    # Empty: the system's. (address, port) pairs otherwise.
    nameservers: tuple[tuple[str, int], ...] = ()
    reply_bytes: int = 16_384

    @classmethod
    def from_settings(cls) -> Self:
        return cls(
            allow_loopback=settings.OUTBOUND_ALLOW_LOOPBACK,
            ports=frozenset({HTTPS_PORT, *settings.OUTBOUND_PORTS}),
            ca_file=settings.OUTBOUND_CA_FILE,
        )

    def allows(self, address: IpAddress) -> bool:
        return is_public(address) or (self.allow_loopback and is_ipv4_loopback(address))


@dataclass(frozen=True)
class Request:
    url: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout: float = 15.0


@dataclass(frozen=True)
class Response:
    """Any complete answer, whatever its status. `body` is cut at the policy's `reply_bytes`."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    address: str
    elapsed_seconds: float


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


class _BlockedAddress(OSError):
    """An address that the policy forbids; an OSError because aiohttp passes on only those."""


class _CheckedResolver(AbstractResolver):
    """Resolves a name for one dial; every answer must be allowed, or none is used."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        addresses = ["127.0.0.1"] if host == "localhost" else await self._look_up(host)
        for address in addresses:
            _check_address(address, self._policy)
        return [_result(host, address, port) for address in addresses[:MOST_DIALLED_ADDRESSES]]

    async def _look_up(self, host: str) -> list[str]:
        ipv4, ipv6 = await asyncio.gather(self._query(host, "A"), self._query(host, "AAAA"))
        if not ipv4 + ipv6:
            raise OSError(f"No address was found for {host}.")
        return ipv4 + ipv6

    async def _query(self, host: str, record_type: str) -> list[str]:
        """Empty when there is no answer, for whatever reason: many zones answer badly for AAAA."""
        try:
            # The final dot keeps the operator's search domains out.
            answer = await self._name_service().resolve(
                host + ".", record_type, lifetime=DNS_SECONDS, raise_on_no_answer=False
            )
        except (dns.exception.DNSException, OSError):
            return []
        return [record.address for record in answer.rrset or ()]

    def _name_service(self) -> dns.asyncresolver.Resolver:
        """Made when the first name comes, since addresses can be dialled without one."""
        if self._resolver is None:
            self._resolver = dns.asyncresolver.Resolver(configure=not self._policy.nameservers)
            for address, port in self._policy.nameservers:
                nameserver = dns.nameserver.Do53Nameserver(address, port)
                self._resolver.nameservers = [*self._resolver.nameservers, nameserver]
        return self._resolver

    async def close(self) -> None:
        """Nothing is held open between queries."""


def _check_address(text: str, policy: Policy) -> None:
    try:
        allowed = policy.allows(parse(text))
    except ValueError:
        allowed = False
    if not allowed:
        raise _BlockedAddress(f"{text} may not be dialled.")


def _result(host: str, address: str, port: int) -> ResolveResult:
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=socket.AF_INET6 if ":" in address else socket.AF_INET,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


class _AddressedResponse(ClientResponse):
    """Remembers who answered: the connection may be back in the pool before anyone can ask."""

    peer = ""

    async def start(self, connection: Connection) -> ClientResponse:
        if connection.transport is not None:
            self.peer = str((connection.transport.get_extra_info("peername") or ("",))[0])
        return await super().start(connection)


class Client:
    """The asynchronous client; belongs to the event loop in which it was made."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                resolver=_CheckedResolver(policy),
                use_dns_cache=False,
                socket_factory=self._open_socket,
                ssl=_tls_context(policy),
                keepalive_timeout=KEEP_ALIVE_SECONDS,
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            response_class=_AddressedResponse,
            max_line_size=LONGEST_HEADER_BYTES,
            max_field_size=LONGEST_HEADER_BYTES,
            max_headers=MOST_HEADERS,
        )

    async def send(self, request: Request) -> Response:
        """Raises TemporaryFailure or PermanentFailure when no complete answer came."""
        destination = check_url(request.url, self._policy)
        started = time.monotonic()
        try:
            async with asyncio.timeout(request.timeout):
                return await self._exchange(request, destination, started)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _failure_of(error) from error

    async def close(self) -> None:
        await self._session.close()

    async def _exchange(
        self, request: Request, destination: Destination, started: float
    ) -> Response:
        async with self._session.request(
            request.method,
            URL(destination.url, encoded=True),
            headers={
                "User-Agent": USER_AGENT,
                "Accept-Encoding": "identity",
                **destination.authorization,
                **request.headers,
            },
            data=request.body,
            allow_redirects=False,
        ) as answer:
            body = await self._read_bounded(answer)
            return Response(
                status=answer.status,
                headers={name.lower(): value for name, value in answer.headers.items()},
                body=body,
                address=answer.peer if isinstance(answer, _AddressedResponse) else "",
                elapsed_seconds=time.monotonic() - started,
            )

    async def _read_bounded(self, answer: ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > self._policy.reply_bytes:
                # The rest is unwanted, so the connection is of no further use.
                answer.close()
                break
        return bytes(body[: self._policy.reply_bytes])

    def _open_socket(self, address_info: AddrInfoType) -> socket.socket:
        """The last gate before every connect, which also sees addresses written in URLs."""
        family, kind, protocol, _, address = address_info
        _check_address(str(address[0]), self._policy)
        return socket.socket(family, kind, protocol)


def _tls_context(policy: Policy) -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if policy.ca_file:
        context.load_verify_locations(policy.ca_file)
    return context


# From narrow to broad: the first that fits names the failure.
_REASONS: tuple[tuple[type[BaseException], Reason, str], ...] = (
    (
        aiohttp.ConnectionTimeoutError,
        Reason.CONNECT,
        "The receiver could not be reached.",
    ),
    (TimeoutError, Reason.TIMEOUT, "The receiver did not answer in time."),
    (
        aiohttp.ClientConnectorCertificateError,
        Reason.CERTIFICATE,
        "The receiver's certificate is not valid for its name.",
    ),
    (aiohttp.ClientSSLError, Reason.TLS, "No TLS connection could be made."),
    (aiohttp.ClientConnectorDNSError, Reason.DNS, "The receiver's name has no address."),
    (aiohttp.ClientConnectorError, Reason.CONNECT, "The receiver could not be reached."),
    (aiohttp.ServerDisconnectedError, Reason.DISCONNECTED, "The receiver hung up."),
    (aiohttp.ClientPayloadError, Reason.DISCONNECTED, "The receiver hung up in mid-answer."),
    (aiohttp.ClientResponseError, Reason.PROTOCOL, "The receiver's answer is not sound HTTP."),
    (OSError, Reason.DISCONNECTED, "The connection broke."),
)


def _failure_of(error: Exception) -> DeliveryFailure:
    if isinstance(getattr(error, "os_error", error), _BlockedAddress):
        # Not permanent: a name that points to 0.0.0.0 for an hour of maintenance may be mended.
        return TemporaryFailure(
            "The receiver's name has an address that is not public.",
            reason=Reason.BLOCKED_ADDRESS,
        )
    for kind, reason, message in _REASONS:
        if isinstance(error, kind):
            return TemporaryFailure(message, reason=reason)
    return TemporaryFailure("The exchange failed.", reason=Reason.PROTOCOL)


class _LoopThread:
    """One event loop with one client, in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._client: Client | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, name="outbound", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> Future[Response]:
        return asyncio.run_coroutine_threadsafe(self._send(request), self._loop)

    async def _send(self, request: Request) -> Response:
        if self._client is None:
            self._client = Client(Policy.from_settings())
        return await self._client.send(request)

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._close_client(), self._loop).result(timeout=5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=5)
        self._loop.close()

    async def _close_client(self) -> None:
        if self._client is not None:
            await self._client.close()


class _Process:
    """What this process holds: at most one loop thread."""

    def __init__(self) -> None:
        self.starting = threading.Lock()
        self.thread: _LoopThread | None = None


_process = _Process()
_of_parents: list[_Process] = []


def submit(request: Request) -> Future[Response]:
    """Send in the background; the future's exception is a DeliveryFailure."""
    with _process.starting:
        if _process.thread is None:
            _process.thread = _LoopThread()
        return _process.thread.submit(request)


def send(request: Request) -> Response:
    return submit(request).result()


def close() -> None:
    """End the process's loop and its connections; the next request starts anew."""
    with _process.starting:
        thread, _process.thread = _process.thread, None
    if thread is not None:
        thread.close()


def _start_anew_after_fork() -> None:
    """A child inherits the loop without its thread. It is kept, not closed: closing would take
    descriptors out of the epoll that parent and child share."""
    global _process
    _of_parents.append(_process)
    _process = _Process()


atexit.register(close)
os.register_at_fork(after_in_child=_start_anew_after_fork)
