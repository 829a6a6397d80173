"""Where mail for a domain goes: what the transports answer and the courier follows. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol


class Tls(StrEnum):
    OPPORTUNISTIC = "opportunistic"
    """STARTTLS if it is offered, any certificate: what MX hosts of strangers allow (RFC 7435)."""
    REQUIRED = "required"
    """STARTTLS with any certificate, or nothing is sent: what a sender may ask for."""
    VERIFIED = "verified"
    """STARTTLS with a certificate that names the host, or nothing is sent."""
    IMPLICIT = "implicit"
    """TLS from the first byte, with a certificate that names the host."""


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """One server that takes mail for a domain.

    `addresses` are the literals that were checked and are dialled; empty means that the host is
    the operator's own choice and is resolved when dialled. `is_final` says whether its 250 means
    delivered (an MX, the inbox) or only handed on (a relay). `is_exchanger`: it was found by MX
    look-up, so the domain's own policies bind it.
    """

    host: str
    port: int
    tls: Tls
    is_final: bool
    addresses: tuple[str, ...] = ()
    ca_file: str = ""
    login: Login | None = None
    is_exchanger: bool = False
    # The mode of the MTA-STS policy under which it is used.
    mta_sts: str = ""


class Transport(Protocol):
    def routes(self, domain: str) -> tuple[Route, ...]:
        """The servers to try in this order. Raises TemporaryFailure or PermanentFailure."""


def demanding_tls(found: Sequence[Route]) -> tuple[Route, ...]:
    """The same servers, but nothing is sent to one that offers no TLS."""
    return tuple(
        replace(route, tls=Tls.REQUIRED) if route.tls is Tls.OPPORTUNISTIC else route
        for route in found
    )
