"""A real DNS server on loopback whose answers a test scripts per name."""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address

from dnslib import AAAA, CNAME, QTYPE, RCODE, RR, A, DNSRecord
from dnslib.server import BaseResolver, DNSHandler, DNSServer

# What one look-up of a name answers; a look-up asks for A and for AAAA.
Answer = Sequence[str] | str


class ScriptedZone(BaseResolver):  # type: ignore[misc]  # dnslib carries no types.
    """`names[name]` is a list of answers: each look-up takes the next, the last one stays.

    An answer is a list of addresses, `NXDOMAIN`, `SERVFAIL`, `HANG`, or `CNAME other.name`.
    """

    def __init__(self) -> None:
        self.names: dict[str, list[Answer]] = {}
        self._asked: dict[tuple[str, str], Iterator[int]] = {}
        self._lock = threading.Lock()

    def clear(self) -> None:
        self.names.clear()
        self._asked.clear()

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        reply = request.reply()
        self._answer(str(request.q.qname).rstrip("."), QTYPE[request.q.qtype], reply)
        return reply

    def _answer(self, name: str, kind: str, reply: DNSRecord) -> None:
        answer = self._next(name, kind)
        if isinstance(answer, str) and answer.startswith("CNAME "):
            target = answer.removeprefix("CNAME ")
            reply.add_answer(RR(name, QTYPE.CNAME, rdata=CNAME(target), ttl=0))
            self._answer(target, kind, reply)
        elif answer == "HANG":
            time.sleep(5)
        elif isinstance(answer, str):
            reply.header.rcode = getattr(RCODE, answer)
        else:
            for address in answer:
                if (":" in address) == (kind == "AAAA"):
                    data = AAAA(list(ip_address(address).packed)) if kind == "AAAA" else A(address)
                    reply.add_answer(RR(name, getattr(QTYPE, kind), rdata=data, ttl=0))

    def _next(self, name: str, kind: str) -> Answer:
        answers = self.names.get(name, ["NXDOMAIN"])
        with self._lock:
            turn = next(self._asked.setdefault((name, kind), itertools.count()))
        return answers[min(turn, len(answers) - 1)]


class QuietLogger:
    """dnslib prints every packet unless it is given something that does not."""

    def __getattr__(self, name: str) -> object:
        return lambda *arguments: None


@contextmanager
def serving(zone: ScriptedZone) -> Iterator[tuple[str, int]]:
    """Answers on UDP and TCP; yields address and port."""
    udp = DNSServer(zone, address="127.0.0.1", port=0, logger=QuietLogger())
    port = udp.server.server_address[1]
    tcp = DNSServer(zone, address="127.0.0.1", port=port, tcp=True, logger=QuietLogger())
    for server in (udp, tcp):
        server.server.daemon_threads = True
        server.server.block_on_close = False
        server.start_thread()
    try:
        yield "127.0.0.1", port
    finally:
        for server in (udp, tcp):
            server.stop()
            server.server.server_close()
