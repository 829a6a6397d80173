"""A real DNS server on loopback whose zone a test writes, record by record."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from dnslib import CNAME, MX, QTYPE, RCODE, RD, RR, TXT, DNSRecord
from dnslib.server import BaseResolver, DNSHandler, DNSServer

from domains.models import Domain
from queensmtp.tenancy import tenant
from tests.outbound.dns_server import QuietLogger

BIND_TRIES = 20


class Zone(BaseResolver):  # type: ignore[misc]  # dnslib carries no types.
    """`records[name, type]` is a list of values; a name in `broken` answers SERVFAIL."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], list[str]] = {}
        self.broken: set[str] = set()
        self.asked_count = 0
        self._lock = threading.Lock()

    def publish(self, domain: Domain, *, leave_out: Iterable[str] = ()) -> None:
        """All that the domain asks for, as its owner would."""
        with tenant(domain.account_id):
            wanted = Domain.objects.get(pk=domain.pk).to_publish()
        for one in wanted:
            if one.slug not in leave_out:
                value = f"{one.priority} {one.value}" if one.type == "MX" else one.value
                self.records[one.name, one.type] = [value]

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        name, kind = str(request.q.qname).rstrip(".").lower(), QTYPE[request.q.qtype]
        reply = request.reply()
        with self._lock:
            self.asked_count += 1
        if name in self.broken:
            reply.header.rcode = RCODE.SERVFAIL
        elif name not in {known for known, _ in self.records}:
            reply.header.rcode = RCODE.NXDOMAIN
        else:
            self._fill(reply, name, kind)
        return reply

    def _fill(self, reply: DNSRecord, name: str, kind: str) -> None:
        for target in self.records.get((name, "CNAME"), []):
            reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME(target), ttl=0))
            if kind != "CNAME":
                self._fill(reply, target, kind)
        if kind != "CNAME":
            for value in self.records.get((name, kind), []):
                reply.add_answer(RR(name, getattr(QTYPE, kind), rdata=_rdata(kind, value), ttl=0))


def _rdata(kind: str, value: str) -> RD:
    if kind == "MX":
        priority, host = value.split(" ")
        return MX(host, preference=int(priority))
    return TXT([value[at : at + 255] for at in range(0, len(value), 255)])


def _bound(zone: Zone, address: str, port: int) -> tuple[DNSServer, DNSServer]:
    """A port that is free for both; what UDP is given may be taken for TCP."""
    for _ in range(BIND_TRIES):
        udp = DNSServer(zone, address=address, port=port, logger=QuietLogger())
        number = udp.server.server_address[1]
        try:
            return udp, DNSServer(
                zone, address=address, port=number, tcp=True, logger=QuietLogger()
            )
        except OSError:
            udp.server.server_close()
    raise OSError(f"no port of {address} is free for both UDP and TCP")


@contextmanager
def serving(zone: Zone, *, address: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Answers on UDP and TCP; yields the port."""
    udp, tcp = _bound(zone, address, port)
    port = udp.server.server_address[1]
    for server in (udp, tcp):
        server.server.daemon_threads = True
        server.server.block_on_close = False
        server.start_thread()
    try:
        yield port
    finally:
        for server in (udp, tcp):
            server.stop()
            server.server.server_close()
