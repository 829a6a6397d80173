"""Finds the MTA-STS policy of a destination, and binds the routes to it (RFC 8461).

A policy that was once seen binds until it expires, even when DNS or the policy's host is silent:
otherwise whoever can silence them could take the protection away. So policies are kept in the
database: read before mail is carried, and stored when they are new.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import TypeVar

import dns.exception
import dns.resolver

from queensmtp import outbound
from queensmtp.errors import DeliveryFailure, TemporaryFailure
from sending import mta_sts, transports
from sending.mta_sts import InvalidPolicy, Mode, Policy
from sending.routes import Route, Tls

FETCH_SECONDS = 10.0
DNS_SECONDS = 5.0
# RFC 8461 3.3: a policy that could not be fetched is not asked for at every message.
FAILED_FETCH_SECONDS = 300.0
KEPT = 10_000

Kept = TypeVar("Kept")
Fetch = Callable[[str], str]

logger = logging.getLogger(__name__)


class StrictTransport:
    """Thread-safe; one for a process. `ca_file` is trusted beside the system's authorities."""

    def __init__(self, resolver: dns.resolver.Resolver, fetch: Fetch, *, ca_file: str = "") -> None:
        self._resolver = resolver
        self._fetch = fetch
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._known: dict[str, Policy] = {}
        self._learned: dict[str, Policy] = {}
        self._failed: dict[str, float] = {}

    def remember(self, policies: Mapping[str, Policy]) -> None:
        """Policies from the database, for what is about to be carried."""
        with self._lock:
            if len(self._known) + len(policies) > KEPT:
                self._known.clear()
            self._known |= policies

    def take_learned(self) -> dict[str, Policy]:
        """Policies that are new since the last call, to be stored."""
        with self._lock:
            learned, self._learned = self._learned, {}
        return learned

    def bind(self, domain: str, routes: Sequence[Route]) -> tuple[Route, ...]:
        """The routes that the domain's policy allows, as it wants them used.

        Raises TemporaryFailure when the policy is enforced and names none of them.
        """
        if not any(route.is_exchanger for route in routes):
            return tuple(routes)
        policy = self._policy(domain)
        if policy is None or policy.mode is Mode.NONE:
            return tuple(routes)
        if policy.mode is Mode.TESTING:
            return tuple(replace(route, mta_sts=policy.mode) for route in routes)
        allowed = tuple(
            replace(route, tls=Tls.VERIFIED, ca_file=self._ca_file, mta_sts=policy.mode)
            for route in routes
            if policy.allows(route.host)
        )
        if not allowed:
            raise TemporaryFailure(
                f"The MTA-STS policy of {domain} names none of its mail exchangers.",
                reason="mta_sts",
            )
        return allowed

    def _policy(self, domain: str) -> Policy | None:
        now = datetime.now(UTC)
        with self._lock:
            known = self._known.get(domain)
            failed_lately = time.monotonic() < self._failed.get(domain, 0.0)
        if known is not None and known.expires_at <= now:
            known = None
        id = self._record_id(domain)
        if id is None or (known is not None and known.id == id) or failed_lately:
            return known
        return self._fetched(domain, id, now) or known

    def _fetched(self, domain: str, id: str, now: datetime) -> Policy | None:
        try:
            text = self._fetch(f"https://mta-sts.{domain}/.well-known/mta-sts.txt")
            policy = mta_sts.parse(text, id=id, now=now)
        except (DeliveryFailure, InvalidPolicy, UnicodeDecodeError) as problem:
            logger.warning("mta_sts_not_read", extra={"domain": domain, "problem": str(problem)})
            self._put(self._failed, domain, time.monotonic() + FAILED_FETCH_SECONDS)
            return None
        self._put(self._known, domain, policy)
        self._put(self._learned, domain, policy)
        return policy

    def _record_id(self, domain: str) -> str | None:
        try:
            answer = self._resolver.resolve(
                f"_mta-sts.{domain}.", "TXT", lifetime=DNS_SECONDS, search=False
            )
        except (dns.exception.DNSException, OSError):
            return None
        return mta_sts.record_id(
            b"".join(record.strings).decode("ascii", "replace") for record in answer
        )

    def _put(self, kept: dict[str, Kept], domain: str, value: Kept) -> None:
        with self._lock:
            if len(kept) >= KEPT:
                kept.clear()
            kept[domain] = value


def fetch(url: str) -> str:
    """The text of a policy: 200 and text/plain, without a redirect (RFC 8461 3.3)."""
    response = outbound.send(outbound.Request(url, method="GET", timeout=FETCH_SECONDS))
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if response.status != 200 or kind != "text/plain":
        raise InvalidPolicy(f"{url} answered {response.status} {kind}.")
    return response.body.decode()


@cache
def configured() -> StrictTransport:
    return StrictTransport(transports.resolver(), fetch)
