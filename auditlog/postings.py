"""The search index of a log: for each segment of 4,096 leaves, which of them have which token.

Any filters are answered by AND and OR over a few hundred bytes a segment, so that a search costs
the same whether its filters have much in common or nothing: an index for one filter would walk
through all that the other does not want. Nothing here reads a store.
"""

from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network, summarize_address_range
from typing import Any, Protocol

from auditlog import words
from auditlog.filters import AddressRange, Filters, Named

WIDTH = 4096
_BITMAP_BYTES = WIDTH // 8
_SPARSE, _BITMAP = b"\x00", b"\x01"
# Networks that an address is found by, from wide to narrow.
_LEVELS = {4: (8, 16, 24, 32), 6: (32, 48, 64, 128)}
# An address range is so many tokens of one level at most, else fewer of a wider one.
_MOST_NETWORKS = 256

Network = IPv4Network | IPv6Network

# What every entry has that is no ordinary read.
SHOWN = frozenset({"d:"})


class Findable(Protocol):
    """What tokens are made of."""

    @property
    def event(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def actor_type(self) -> str: ...
    @property
    def actor_id(self) -> str: ...
    @property
    def key_id(self) -> Any: ...
    @property
    def ip(self) -> str | None: ...
    @property
    def target_type(self) -> str: ...
    @property
    def target_label(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def ordinary_read(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Question:
    """What to look up: of each group one token at least. The rows are looked at again afterwards,
    since a group may be wider than its filter."""

    groups: tuple[frozenset[str], ...]

    @property
    def tokens(self) -> list[str]:
        return sorted(frozenset().union(*self.groups))

    def places(self, found: Mapping[str, bytes]) -> int:
        """Return the bitmap of the places in one segment that answer it."""
        bits = -1
        for group in self.groups:
            bits &= _either(unpacked(found[token]) for token in group if token in found)
            if not bits:
                return 0
        return bits & (1 << WIDTH) - 1


def tokens_of(entry: Findable) -> list[str]:
    found = [
        f"e:{entry.event}",
        f"s:{entry.event.partition('.')[0]}",
        f"o:{entry.outcome}",
        f"a:{entry.actor_id}",
        f"c:{entry.actor_type}",
        f"y:{entry.target_type}",
        *_networks_of(entry.ip),
    ]
    if entry.key_id:
        found.append(f"k:{entry.key_id}")
    if not entry.ordinary_read:
        found += SHOWN
    found += words.of_entry(target_label=entry.target_label, labels=entry.labels)
    return found


def question(filters: Filters) -> Question:
    groups: list[Iterable[str]] = []
    if filters.events:
        groups.append(map(_event_token, filters.events))
    if filters.key_id:
        groups.append([f"k:{filters.key_id}"])
    if filters.ip:
        groups.append(_networks_in(filters.ip))
    if filters.outcome:
        groups.append([f"o:{filters.outcome}"])
    groups += _of_actor(filters.actor)
    if filters.target and filters.target.type:
        groups.append([f"y:{filters.target.type}"])
    if filters.label:
        groups.append([words.of_label(filters.label.name, filters.label.value)])
    groups += [[word] for word in filters.words]
    if filters.hides_reads:
        groups.append(SHOWN)
    return Question(tuple(map(frozenset, groups)))


def packed(places: list[int]) -> bytes:
    """Write places, in ascending order, as what is shorter: a list or a bitmap."""
    if 2 * len(places) < _BITMAP_BYTES:
        return _SPARSE + array("H", places).tobytes()
    return _BITMAP + _bits(places).to_bytes(_BITMAP_BYTES, "little")


def unpacked(data: bytes) -> int:
    if data[:1] == _BITMAP:
        return int.from_bytes(data[1:], "little")
    return _bits(array("H", data[1:]))


def places_of(bits: int) -> Iterator[int]:
    """Yield the places that are set, the highest first."""
    while bits:
        place = bits.bit_length() - 1
        yield place
        bits ^= 1 << place


def _bits(places: Iterable[int]) -> int:
    bitmap = bytearray(_BITMAP_BYTES)
    for place in places:
        bitmap[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(bitmap, "little")


def _either(bitmaps: Iterable[int]) -> int:
    bits = 0
    for one in bitmaps:
        bits |= one
    return bits


def _event_token(event: str) -> str:
    return f"s:{event.removesuffix('.*')}" if event.endswith(".*") else f"e:{event}"


def _of_actor(actor: Named | None) -> list[list[str]]:
    if actor is None:
        return []
    by_type = [[f"c:{actor.type}"]] if actor.type else []
    return [*by_type, [f"a:{actor.id}"]] if actor.id else by_type


@lru_cache(maxsize=4096)
def _networks_of(ip: str | None) -> tuple[str, ...]:
    if ip is None:
        return ()
    version = ip_address(ip).version
    levels = (ip_network(f"{ip}/{length}", strict=False) for length in _LEVELS[version])
    return (f"v:{version}", *(f"n:{network}" for network in levels))


def _networks_in(wanted: AddressRange) -> list[str]:
    """Return tokens of which every address in the range has one, and few others have any."""
    low, high = ip_address(wanted.low), ip_address(wanted.high)
    (network,) = summarize_address_range(low, high)
    levels = _LEVELS[network.version]
    narrower = next(length for length in levels if length >= network.prefixlen)
    if 2 ** (narrower - network.prefixlen) <= _MOST_NETWORKS:
        return [f"n:{one}" for one in network.subnets(new_prefix=narrower)]
    wider = [length for length in levels if length < network.prefixlen]
    return [f"n:{network.supernet(new_prefix=wider[-1])}"] if wider else [f"v:{network.version}"]
