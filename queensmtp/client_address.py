"""The address that a request really came from.

Only a peer in TRUSTED_PROXIES may speak for another address, and only by X-Forwarded-For, read
from the right: the first hop that is not a trusted proxy is the client (`threats.md` N1–N6).
"""

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def canonical(text: str) -> Address | None:
    """One spelling per address: an IPv4-mapped IPv6 address is the IPv4 address it maps."""
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return None
        return address.ipv4_mapped or address
    return address


def counted_as(text: str | None) -> str:
    """What limits and counts take for one address: an IPv6 customer is given a whole /64."""
    address = canonical(text or "")
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address) if address else "unknown"


def client_address(*, peer: str, forwarded_for: str, trusted: Sequence[Network]) -> Address | None:
    """The client's address, given the socket's peer and the X-Forwarded-For header."""
    address = canonical(peer)
    hops = [hop for hop in forwarded_for.split(",") if hop.strip()]
    while address is not None and hops and _is_trusted(address, trusted):
        address = canonical(hops.pop())
    return address


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address.version == net.version and address in net for net in trusted)
