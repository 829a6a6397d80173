"""Address ranges of a key: read, put into one form, matched. Pure."""

import ipaddress
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from queensmtp.client_address import Network, canonical
from queensmtp.errors import FieldError

MAXIMUM_ENTRIES = 1_000
WIDEST = {4: 8, 6: 32}
# What `smallest_cover` takes for one place: a part of a /24, and a host's /64.
NEIGHBOURHOOD, NEIGHBOURS, HOST_PREFIX = 24, 4, 64
SHAPE = re.compile(r"[0-9A-Fa-f.:]+(/[0-9]{1,3})?")


def read(
    texts: Sequence[str], *, field: str = "allowed_cidrs", allow_wide: bool = False
) -> tuple[list[str], list[FieldError]]:
    """The ranges in canonical form, without repeats, and what was wrong with the others."""
    if len(texts) > MAXIMUM_ENTRIES:
        message = f"give at most {MAXIMUM_ENTRIES} ranges."
        return [], [FieldError(field, "too_many", message)]
    found: dict[str, None] = {}
    problems = []
    for position, text in enumerate(texts):
        network, problem = _read_one(text, allow_wide=allow_wide)
        if network is None:
            problems.append(FieldError(f"{field}[{position}]", *problem))
        else:
            found[str(network)] = None
    return list(found), problems


class Ranges:
    """Canonical ranges read once, to be asked about many addresses."""

    def __init__(self, ranges: Iterable[str]) -> None:
        networks = [ipaddress.ip_network(text) for text in ranges]
        self._spans = {version: _spans(networks, version) for version in WIDEST}

    def allow(self, address: str | None) -> bool:
        found = canonical(address) if address else None
        if found is None:
            return False
        firsts, lasts = self._spans[found.version]
        place = bisect_right(firsts, int(found)) - 1
        return place >= 0 and int(found) <= lasts[place]


def allows(ranges: Iterable[str], address: str | None) -> bool:
    """Whether an address lies in one of the (canonical) ranges; no address, no."""
    return _read_ranges(tuple(ranges)).allow(address)


# Of what a text means, not of what a key may do: nothing here can be out of date.
@lru_cache(maxsize=1_024)
def _read_ranges(ranges: tuple[str, ...]) -> Ranges:
    return Ranges(ranges)


def covers(ranges: Iterable[str], text: str) -> bool:
    """Whether one of the (canonical) ranges holds the whole of another."""
    inner = ipaddress.ip_network(text)
    return any(_holds(ipaddress.ip_network(outer), inner) for outer in ranges)


def smallest_cover(addresses: Iterable[str]) -> list[str]:
    """The fewest tight ranges around addresses that were seen.

    Four or more within a /24 become the one smallest range around them; fewer stay single. Of
    IPv6 the whole /64 is taken, since a host changes its address within it (RFC 8981).
    """
    found = {one for one in map(canonical, addresses) if one is not None}
    neighbours: dict[ipaddress.IPv4Network, list[ipaddress.IPv4Address]] = {}
    for one in found:
        if isinstance(one, ipaddress.IPv4Address):
            block = ipaddress.IPv4Network((one, NEIGHBOURHOOD), strict=False)
            neighbours.setdefault(block, []).append(one)
    v4 = [network for group in neighbours.values() for network in _around(group)]
    v6 = [
        ipaddress.IPv6Network((one, HOST_PREFIX), strict=False)
        for one in found
        if isinstance(one, ipaddress.IPv6Address)
    ]
    return [
        *map(str, ipaddress.collapse_addresses(v4)),
        *map(str, ipaddress.collapse_addresses(v6)),
    ]


def _around(group: Sequence[ipaddress.IPv4Address]) -> list[ipaddress.IPv4Network]:
    if len(group) < NEIGHBOURS:
        return [ipaddress.IPv4Network(one) for one in group]
    span = int(min(group)) ^ int(max(group))
    return [ipaddress.IPv4Network((min(group), 32 - span.bit_length()), strict=False)]


def _spans(networks: Iterable[Network], version: int) -> tuple[list[int], list[int]]:
    """The first and last addresses of the ranges of one version: sorted, and apart."""
    same: list[Any] = [one for one in networks if one.version == version]
    apart = list(ipaddress.collapse_addresses(same))
    return (
        [int(one.network_address) for one in apart],
        [int(one.broadcast_address) for one in apart],
    )


def _holds(outer: Network, inner: Network) -> bool:
    if outer.version != inner.version:
        return False
    return outer.prefixlen <= inner.prefixlen and inner.network_address in outer


def _read_one(text: str, *, allow_wide: bool) -> tuple[Network | None, tuple[str, str]]:
    if not isinstance(text, str) or not SHAPE.fullmatch(text):
        return None, ("not_a_range", "write an address or a range such as 203.0.113.0/24.")
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        return None, _why_not(text)
    mapped = _unmapped(network)
    if mapped.prefixlen < WIDEST[mapped.version] and not allow_wide:
        return None, _too_wide(mapped)
    if mapped.prefixlen == 0:
        return None, ("everything", "a range of all addresses is no limit; leave the list out.")
    return mapped, ("", "")


def _why_not(text: str) -> tuple[str, str]:
    try:
        meant = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "not_a_range", "this is no address range; write it like 203.0.113.0/24."
    return "host_bits", f"bits are set behind the prefix; did you mean {meant}?"


def _too_wide(network: Network) -> tuple[str, str]:
    if network.prefixlen == 0:
        return "everything", "a range of all addresses is no limit; leave the list out."
    return "too_wide", (
        f"/{network.prefixlen} is wider than /{WIDEST[network.version]}; "
        "set `allow_wide_cidrs` to true if you mean it."
    )


def _unmapped(network: Network) -> Network:
    """::ffff:10.0.0.0/104 is 10.0.0.0/8."""
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        inner = network.network_address.ipv4_mapped
        if inner is not None:
            return ipaddress.IPv4Network((inner, network.prefixlen - 96))
    return network
