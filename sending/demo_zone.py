"""The DNS of the demo: what the owners of sending domains would publish, read from the database.

Only the embedded demo runs it, so that its DKIM signatures can be verified like anybody's.
"""

import logging

from django.db import DatabaseError, connection
from dnslib import QTYPE, RCODE, RR, TXT, DNSRecord
from dnslib.server import BaseResolver, DNSHandler

from domains import dkim_keys
from domains.models import DkimKey

TTL_SECONDS = 5
# RFC 1035 3.3: one character-string of a TXT record has at most 255 octets.
STRING_LIMIT = 255

log = logging.getLogger(__name__)


class DemoZone(BaseResolver):
    """Answers `<selector>._domainkey.<domain>` TXT; every other name does not exist."""

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        try:
            texts = txt_records(str(request.q.qname).rstrip(".").lower())
        except DatabaseError:
            log.exception("The zone cannot be read.")
            return failed(request)
        finally:
            # dnslib starts a thread for each request; its connection must not outlive it.
            connection.close()
        return answer(request, texts)


def answer(request: DNSRecord, texts: list[str]) -> DNSRecord:
    """The reply, given the TXT records at the name; without any the name does not exist."""
    reply = request.reply()
    if not texts:
        reply.header.rcode = RCODE.NXDOMAIN
    elif QTYPE[request.q.qtype] in ("TXT", "ANY"):
        for text in texts:
            data = TXT(_strings(text))
            reply.add_answer(RR(request.q.qname, QTYPE.TXT, rdata=data, ttl=TTL_SECONDS))
    return reply


def failed(request: DNSRecord) -> DNSRecord:
    reply = request.reply()
    reply.header.rcode = RCODE.SERVFAIL
    return reply


def txt_records(name: str) -> list[str]:
    """The TXT records at a name. A verified domain hides those that merely claim its name."""
    selector, separator, domain = name.partition("._domainkey.")
    if not separator:
        return []
    keys = list(
        DkimKey.objects.select_related("domain").filter(selector=selector, domain__name=domain)
    )
    proven = [key for key in keys if key.domain.is_verified]
    return [dkim_keys.dns_record(bytes(key.public_key)) for key in proven or keys]


def _strings(text: str) -> list[str]:
    return [text[start : start + STRING_LIMIT] for start in range(0, len(text), STRING_LIMIT)]
