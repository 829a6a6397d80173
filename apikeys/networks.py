"""The network that an address stands in: /24 of IPv4, /48 of IPv6. Pure."""

import ipaddress

from queensmtp import client_address

PREFIX_LENGTHS = {4: 24, 6: 48}


def network_of(address: str | None) -> str:
    found = client_address.canonical(address or "")
    if found is None:
        return "unknown"
    return str(ipaddress.ip_network((found, PREFIX_LENGTHS[found.version]), strict=False))
