"""One asynchronous HTTP client, with the gates at its dial. Only `queensmtp.outbound` makes one."""

import asyncio
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp
import dns.asyncresolver
import dns.exception
import dns.nameserver
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_reqrep import ClientResponse
from aiohttp.connector import AddrInfoType, Connection
from yarl import URL

from queensmtp.errors import DeliveryFailure, TemporaryFailure
from queensmtp.outbound_urls import Destination, Policy, Reason, check_stream, check_url
from queensmtp.public_addresses import parse

USER_AGENT = "QueenSMTP"
MOST_HEADERS = 100
LONGEST_HEADER_BYTES = 8190
# A name may have many addresses; all of them are checked, this many are tried.
MOST_DIALLED_ADDRESSES = 8
DNS_SECONDS = 5.0
CONNECT_SECONDS = 5.0
KEEP_ALIVE_SECONDS = 30.0


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

    async def send_stream(self, host: str, port: int, data: bytes, timeout: float) -> None:
        """Write bytes over TLS and close. The peer's own closing says that it has read them."""
        destination = check_stream(host, port, self._policy)
        try:
            async with asyncio.timeout(timeout):
                address = await self._checked_address(destination.host, port)
                _, writer = await asyncio.open_connection(
                    address, port, ssl=_tls_context(self._policy), server_hostname=destination.host
                )
                writer.write(data)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError) as error:
            raise _failure_of(error) from error

    async def _checked_address(self, host: str, port: int) -> str:
        try:
            address = str(ipaddress.ip_address(host))
        except ValueError:
            resolved = await _CheckedResolver(self._policy).resolve(host, port)
            return resolved[0]["host"]
        _check_address(address, self._policy)
        return address

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
    (
        ssl.SSLCertVerificationError,
        Reason.CERTIFICATE,
        "The receiver's certificate is not valid for its name.",
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
