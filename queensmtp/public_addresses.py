"""Which IP addresses lie on the public internet. Pure, and our own table.

The standard library's `is_global` is no filter: on common interpreters it is true for NAT64, 6to4,
IPv4-compatible loopback, fec0::/10 and multicast. So IPv4 is everything but what is listed here,
and IPv6 is only what IANA has given out as global unicast, less what is listed here.
"""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from queensmtp.client_address import Network

IpAddress = IPv4Address | IPv6Address

# IANA IPv4 Special-Purpose Address Registry, multicast and reserved space.
IPV4_NOT_PUBLIC = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata address
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host address: formally public, always internal
        "169.254.0.0/16",  # link-local; cloud metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata address
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relay
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
# Outside it lie loopback, ::ffff:0:0/96, IPv4-compatible, NAT64 (64:ff9b::/96), unique local,
# link-local, site-local (fec0::/10), multicast and everything not yet given out.
IPV6_GLOBAL_UNICAST = IPv6Network("2000::/3")
IPV6_NOT_PUBLIC = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, benchmarking, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: carries an IPv4 address of anyone's choice
        "3fff::/20",  # documentation
    )
)
# What an operator may open: his own networks. Never loopback, link-local (cloud metadata), or more.
PRIVATE_NETWORKS = tuple(
    ip_network(network)
    for network in (
        "10.0.0.0/8",  # RFC 1918
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",  # RFC 6598: VPNs such as Tailscale use it too
        "fc00::/7",  # RFC 4193
    )
)
# In them, but where clouds answer with credentials.
METADATA_ADDRESSES = tuple(ip_address(text) for text in ("100.100.100.200", "fd00:ec2::254"))
# RFC 5214: an ISATAP interface identifier carries an IPv4 address too.
ISATAP_IDENTIFIERS = (0x00005EFE, 0x02005EFE)


def is_public(address: IpAddress) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in IPV4_NOT_PUBLIC)
    return (
        address in IPV6_GLOBAL_UNICAST
        and not any(address in network for network in IPV6_NOT_PUBLIC)
        and (int(address) >> 32) & 0xFFFFFFFF not in ISATAP_IDENTIFIERS
    )


def is_private_range(network: Network) -> bool:
    """Whether an operator may allow it: wholly private, and without a cloud's metadata."""
    lies_within = any(
        network.version == private.version and network.subnet_of(private)  # type: ignore[arg-type]
        for private in PRIVATE_NETWORKS
    )
    return lies_within and not any(address in network for address in METADATA_ADDRESSES)


def is_ipv4_loopback(address: IpAddress) -> bool:
    return isinstance(address, IPv4Address) and address in IPv4Network("127.0.0.0/8")


def parse(text: str) -> IpAddress:
    """Canonical notations only; ValueError on `127.1`, octal, hexadecimal and zones."""
    address = ip_address(text)
    if isinstance(address, IPv6Address) and address.scope_id is not None:
        raise ValueError("An address with a zone names an interface of ours.")
    return address
