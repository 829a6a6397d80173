"""Address ranges of a key: read, put into one form, matched. Pure."""

import ipaddress
import re
from collections.abc import Iterable, Sequence

from queensmtp.client_address import Address, Network, canonical
from queensmtp.errors import FieldError

MAXIMUM_ENTRIES = 1_000
WIDEST = {4: 8, 6: 32}
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


def allows(ranges: Iterable[str], address: str | None) -> bool:
    """Whether an address lies in one of the (canonical) ranges; no address, no."""
    found = canonical(address) if address else None
    return found is not None and any(_contains(text, found) for text in ranges)


def covers(ranges: Iterable[str], text: str) -> bool:
    """Whether one of the (canonical) ranges holds the whole of another."""
    inner = ipaddress.ip_network(text)
    return any(_holds(ipaddress.ip_network(outer), inner) for outer in ranges)


def _holds(outer: Network, inner: Network) -> bool:
    if outer.version != inner.version:
        return False
    return outer.prefixlen <= inner.prefixlen and inner.network_address in outer


def _contains(text: str, address: Address) -> bool:
    network = ipaddress.ip_network(text)
    return network.version == address.version and address in network


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
