"""The loopback ports of one checkout. QUEENSMTP_PORT_BASE shifts them all."""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deploy.local.errors import LocalError, PortTaken

DEFAULT_BASE = 8000
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Port:
    name: str
    number: int
    also_udp: bool = False


@dataclass(frozen=True)
class Ports:
    base: int = DEFAULT_BASE

    @property
    def https(self) -> Port:
        return Port("HTTPS", self.base + 443)

    @property
    def smtp_tls(self) -> Port:
        return Port("SMTP with implicit TLS", self.base + 465)

    @property
    def smtp_starttls(self) -> Port:
        return Port("SMTP with STARTTLS", self.base + 587)

    @property
    def inbox(self) -> Port:
        return Port("the local inbox", self.base + 25)

    @property
    def bounces(self) -> Port:
        return Port("the bounce listener", self.base + 26)

    @property
    def dns(self) -> Port:
        return Port("the demo's DNS", self.base + 53, also_udp=True)

    @property
    def receiver(self) -> Port:
        return Port("the demo's webhook receiver", self.base + 444)

    def all(self) -> tuple[Port, ...]:
        return (
            *(self.https, self.smtp_tls, self.smtp_starttls),
            *(self.inbox, self.bounces, self.dns, self.receiver),
        )


def read_ports(environ: Mapping[str, str]) -> Ports:
    given = environ.get("QUEENSMTP_PORT_BASE", str(DEFAULT_BASE))
    if not given.isdigit() or not 1000 <= int(given) <= 64000:
        raise LocalError(f"QUEENSMTP_PORT_BASE is {given!r}; set a number from 1000 to 64000")
    return Ports(int(given))


def refuse_taken(ports: Iterable[Port]) -> None:
    taken = [port for port in ports if is_taken(port)]
    if taken:
        named = ", ".join(f"{port.number} ({port.name})" for port in taken)
        raise PortTaken(
            f"another program listens on port {named}. Stop it, or move all ports of this "
            f"checkout: QUEENSMTP_PORT_BASE={free_ports().base} make up"
        )


def free_ports(first: int = 18000) -> Ports:
    """A range of which nobody listens on a single port now."""
    for base in range(first, 60000, 1000):
        ports = Ports(base)
        if not any(is_taken(port) for port in ports.all()):
            return ports
    raise LocalError("no range of ports is free on this machine")


def is_taken(port: Port) -> bool:
    kinds = [socket.SOCK_STREAM, *([socket.SOCK_DGRAM] if port.also_udp else [])]
    return not all(_can_bind(port.number, kind) for kind in kinds)


def answers(port: Port) -> bool:
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((HOST, port.number)) == 0


def _can_bind(number: int, kind: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            # Connections of the last run that linger in TIME_WAIT are nobody's listener.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, number))
        except OSError:
            return False
        return True
