"""Which sockets a set of processes listens on, read from /proc: no tool has to be installed."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

TCP_LISTEN = "0A"
UDP_UNCONNECTED = "07"


@dataclass(frozen=True, order=True)
class Listener:
    kind: str
    address: str
    port: int

    @property
    def is_loopback(self) -> bool:
        # The kernel writes each 32-bit word in the machine's (little-endian) order.
        v4 = len(self.address) == 8 and self.address.endswith("7F")
        return v4 or self.address == "00000000000000000000000001000000"


def listeners_of(pids: Iterable[int]) -> list[Listener]:
    inodes = {inode for pid in pids for inode in _socket_inodes(pid)}
    return sorted({listener for inode, listener in _all_listeners() if inode in inodes})


def _all_listeners() -> Iterator[tuple[str, Listener]]:
    for kind in ("tcp", "tcp6", "udp", "udp6"):
        waiting = TCP_LISTEN if kind.startswith("tcp") else UDP_UNCONNECTED
        for line in Path("/proc/net", kind).read_text().splitlines()[1:]:
            fields = line.split()
            address, port = fields[1].split(":")
            if fields[3] == waiting:
                yield fields[9], Listener(kind[:3], address, int(port, 16))


def _socket_inodes(pid: int) -> Iterator[str]:
    try:
        descriptors = list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return
    for descriptor in descriptors:
        try:
            found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor))
        except OSError:
            continue
        if found:
            yield found[1]
