"""The DNS of the demo: what the owners of sending domains would publish, read from the database.

Only the embedded demo runs it, so that its domains are checked and its DKIM signatures verified
like anybody's.
"""

import logging
from collections.abc import Sequence

from django.db import DatabaseError, connection
from dnslib import CNAME, MX, QTYPE, RCODE, RD, RR, TXT, DNSRecord
from dnslib.server import BaseResolver, DNSHandler

from domains.models import Domain
from domains.records import Record

TTL_SECONDS = 5
# RFC 1035 3.3: one character-string of a TXT record has at most 255 octets.
STRING_LIMIT = 255

log = logging.getLogger(__name__)


class DemoZone(BaseResolver):
    """Answers the records of the domains that were added; every other name does not exist."""

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        try:
            records = records_at(str(request.q.qname).rstrip(".").lower())
        except DatabaseError:
            log.exception("The zone cannot be read.")
            return failed(request)
        finally:
            # dnslib starts a thread for each request; its connection must not outlive it.
            connection.close()
        return answer(request, records)


def answer(request: DNSRecord, records: Sequence[Record]) -> DNSRecord:
    """The reply, given the records at the name; without any the name does not exist."""
    reply = request.reply()
    if not records:
        reply.header.rcode = RCODE.NXDOMAIN
    asked = QTYPE[request.q.qtype]
    for record in records:
        if record.type in (asked, "CNAME") or asked == "ANY":
            kind = getattr(QTYPE, record.type)
            reply.add_answer(RR(request.q.qname, kind, rdata=_rdata(record), ttl=TTL_SECONDS))
    return reply


def failed(request: DNSRecord) -> DNSRecord:
    reply = request.reply()
    reply.header.rcode = RCODE.SERVFAIL
    return reply


def records_at(name: str) -> list[Record]:
    """The records at a name. A verified domain hides those that merely claim its name."""
    labels = name.split(".")
    above = [".".join(labels[at:]) for at in range(len(labels))]
    rows = Domain.objects.standing().filter(name__in=above).prefetch_related("dkim_keys")
    domains = list(rows)
    proven = {one.name for one in domains if one.can_send}
    return [
        record
        for one in domains
        if one.can_send or one.name not in proven
        for record in one.to_publish()
        if record.name == name
    ]


def _rdata(record: Record) -> RD:
    match record.type:
        case "MX":
            return MX(record.value, preference=record.priority or 0)
        case "CNAME":
            return CNAME(record.value)
    return TXT(_strings(record.value))


def _strings(text: str) -> list[str]:
    return [text[start : start + STRING_LIMIT] for start in range(0, len(text), STRING_LIMIT)]
