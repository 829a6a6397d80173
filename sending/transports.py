"""The three ways out, behind one seam: the local inbox, a relay, the recipient's own MX."""

import random
import time
from collections.abc import Sequence
from functools import cache
from typing import Any
from urllib.parse import unquote, urlsplit

import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver
from django.conf import settings

from queensmtp import public_addresses
from queensmtp.errors import DeliveryFailure, PermanentFailure, TemporaryFailure
from sending.routes import Login, Route, Tls, Transport

DNS_SECONDS = 10.0
# All look-ups for one domain together: part of what a delivery may take.
ROUTES_SECONDS = 30.0
HOSTS_LIMIT = 8
ADDRESSES_LIMIT = 8
SMTP_PORT = 25
RELAY_SCHEMES = {
    "smtp": (Tls.OPPORTUNISTIC, 25),
    "smtp+starttls": (Tls.VERIFIED, 587),
    "smtps": (Tls.IMPLICIT, 465),
}


class LocalInbox:
    """Every message to the inbox of this machine: the embedded default."""

    def __init__(self, *, port: int, ca_file: str) -> None:
        self._routes = (
            Route(
                "localhost",
                port,
                Tls.VERIFIED,
                is_final=True,
                addresses=("127.0.0.1",),
                ca_file=ca_file,
            ),
        )

    def routes(self, domain: str) -> tuple[Route, ...]:
        return self._routes


class Relay:
    """Every message to one smart host, `smtp+starttls://user:password@host:587`.

    Its 250 is `sent`: what becomes of the message further on, only a bounce would tell.
    """

    def __init__(self, url: str, *, ca_file: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in RELAY_SCHEMES or not parts.hostname:
            raise ValueError(f"A relay is given as {' or '.join(RELAY_SCHEMES)}://host:port.")
        tls, default_port = RELAY_SCHEMES[parts.scheme]
        login = None
        if parts.username:
            login = Login(unquote(parts.username), unquote(parts.password or ""))
        if login and tls is Tls.OPPORTUNISTIC:
            raise ValueError("A relay with a password needs smtp+starttls:// or smtps://.")
        port = parts.port or default_port
        self._routes = (
            Route(parts.hostname, port, tls, is_final=False, ca_file=ca_file, login=login),
        )

    def routes(self, domain: str) -> tuple[Route, ...]:
        return self._routes


class DirectMx:
    """To the mail exchangers of the recipient's domain (RFC 5321 5.1, RFC 7505)."""

    def __init__(
        self,
        resolver: dns.resolver.Resolver,
        *,
        allow_private: bool = False,
        port: int = SMTP_PORT,
    ) -> None:
        self.resolver = resolver
        self.allow_private = allow_private
        self.port = port

    def routes(self, domain: str) -> tuple[Route, ...]:
        """The exchangers in order of preference, each with the addresses that may be dialled."""
        routes = []
        problems: list[DeliveryFailure] = []
        ends_at = time.monotonic() + ROUTES_SECONDS
        for host in self._hosts(domain, ends_at):
            try:
                addresses = self._addresses(host, ends_at)
            except DeliveryFailure as problem:
                problems.append(problem)
            else:
                routes.append(
                    Route(host, self.port, Tls.OPPORTUNISTIC, True, addresses, is_exchanger=True)
                )
        if routes:
            return tuple(routes)
        # One exchanger that may be found later is reason enough to wait.
        raise min(problems, key=lambda problem: isinstance(problem, PermanentFailure))

    def _hosts(self, domain: str, ends_at: float) -> list[str]:
        records = self._lookup(domain, "MX", ends_at)
        if records is None:
            raise PermanentFailure(f"The domain {domain} does not exist.", reason="no_such_domain")
        exchangers = [(record.preference, random.random(), record.exchange) for record in records]
        if len(exchangers) == 1 and exchangers[0][2] == dns.name.root:
            # RFC 7505: a null MX says that the domain takes no mail.
            raise PermanentFailure(f"The domain {domain} takes no mail.", reason="null_mx")
        ordered = [name.to_text(omit_final_dot=True) for _, _, name in sorted(exchangers)]
        # RFC 5321 5.1: without an MX the domain is its own exchanger.
        return [host.lower() for host in ordered if host != "."][:HOSTS_LIMIT] or [domain]

    def _addresses(self, host: str, ends_at: float) -> tuple[str, ...]:
        """What may be dialled; the literals, so that what was checked is what is dialled."""
        found = []
        for kind in ("AAAA", "A"):
            found += [str(record.address) for record in self._lookup(host, kind, ends_at) or ()]
        allowed = [one for one in found if self.allow_private or _is_public(one)]
        if allowed:
            return tuple(allowed[:ADDRESSES_LIMIT])
        if found:
            raise PermanentFailure(f"{host} has no public address.", reason="mx_not_public")
        raise PermanentFailure(f"The mail exchanger {host} does not exist.", reason="no_mx")

    def _lookup(self, name: str, kind: str, ends_at: float) -> Sequence[Any] | None:
        """The records; empty when there is none of that kind; None when there is no such name."""
        seconds = min(DNS_SECONDS, ends_at - time.monotonic())
        if seconds <= 0:
            raise TemporaryFailure(f"DNS takes too long to answer for {name}.", reason="dns")
        try:
            answer = self.resolver.resolve(
                f"{name}.", dns.rdatatype.from_text(kind), lifetime=seconds, search=False
            )
        except dns.resolver.NXDOMAIN:
            return None
        except dns.resolver.NoAnswer:
            return []
        except (dns.exception.DNSException, OSError) as problem:
            raise TemporaryFailure(f"DNS does not answer for {name}.", reason="dns") from problem
        return list(answer)


@cache
def configured() -> Transport:
    """The way out that the settings name."""
    if settings.DELIVERY_TRANSPORT == "inbox":
        return LocalInbox(port=settings.PORT_BASE + 25, ca_file=settings.LOCAL_CA_FILE)
    if settings.DELIVERY_TRANSPORT == "relay":
        return Relay(settings.RELAY_URL)
    return DirectMx(resolver(), allow_private=settings.DELIVERY_PRIVATE_MX)


def resolver() -> dns.resolver.Resolver:
    """Of the operating system, or of the settings; answers are kept as long as they live."""
    chosen = dns.resolver.Resolver(configure=not settings.DNS_RESOLVERS)
    if settings.DNS_RESOLVERS:
        chosen.nameservers = list(settings.DNS_RESOLVERS)
        chosen.port = settings.DNS_PORT
    chosen.cache = dns.resolver.LRUCache(10_000)
    return chosen


def _is_public(address: str) -> bool:
    return public_addresses.is_public(public_addresses.parse(address))
