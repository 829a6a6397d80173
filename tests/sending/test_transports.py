import socket
import time
from collections.abc import Iterator

import dns.resolver
import pytest
from dnslib import AAAA, MX, QTYPE, RCODE, RR, A, DNSRecord
from dnslib.server import DNSHandler

from queensmtp.errors import DeliveryFailure, PermanentFailure, TemporaryFailure
from sending import transports
from sending.routes import Login, Tls
from sending.transports import DirectMx, LocalInbox, Relay
from tests.outbound.dns_server import ScriptedZone, serving

RECORDS: dict[tuple[str, str], list[object]] = {
    ("two.example", "MX"): [MX("second.two.example", 20), MX("First.two.example", 10)],
    ("first.two.example", "A"): [A("8.8.8.8")],
    ("first.two.example", "AAAA"): [AAAA("2606:4700::1111")],
    ("second.two.example", "A"): [A("9.9.9.9")],
    ("bare.example", "A"): [A("8.8.4.4")],
    ("null.example", "MX"): [MX(".", 0)],
    ("private.example", "MX"): [MX("inside.example", 10)],
    ("inside.example", "A"): [A("10.1.2.3"), A("127.0.0.1")],
    ("inside.example", "AAAA"): [AAAA("::1"), AAAA("64:ff9b::a00:1")],
    ("mixed.example", "MX"): [MX("inside.example", 10), MX("second.two.example", 20)],
    ("gone.example", "MX"): [MX("nowhere.example", 10)],
    ("flaky.example", "MX"): [MX("nowhere.example", 10), MX("servfail.example", 20)],
    ("half.example", "MX"): [MX("servfail.example", 10), MX("second.two.example", 20)],
    ("nothing.example", "TXT"): [],
}
NAMES = {name for name, _ in RECORDS}


class MailZone(ScriptedZone):
    """Answers from RECORDS; `servfail.example` is a broken name server."""

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        reply = request.reply()
        name, kind = str(request.q.qname).rstrip(".").lower(), QTYPE[request.q.qtype]
        if name == "servfail.example":
            reply.header.rcode = RCODE.SERVFAIL
        elif name not in NAMES:
            reply.header.rcode = RCODE.NXDOMAIN
        for data in RECORDS.get((name, kind), []):
            reply.add_answer(RR(name, getattr(QTYPE, kind), rdata=data, ttl=60))
        return reply


@pytest.fixture(scope="module")
def resolver() -> Iterator[dns.resolver.Resolver]:
    with serving(MailZone()) as (address, port):
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = [address], port
        yield resolver


@pytest.fixture
def mx(resolver: dns.resolver.Resolver) -> DirectMx:
    return DirectMx(resolver)


def failure_of(mx: DirectMx, domain: str) -> DeliveryFailure:
    with pytest.raises(DeliveryFailure) as failed:
        mx.routes(domain)
    return failed.value


def test_exchangers_come_in_order_of_preference_with_their_addresses(mx: DirectMx) -> None:
    first, second = mx.routes("two.example")
    assert (first.host, first.addresses) == (
        "first.two.example",
        ("2606:4700::1111", "8.8.8.8"),
    )
    assert (second.host, second.addresses) == ("second.two.example", ("9.9.9.9",))
    assert (first.port, first.tls, first.is_final) == (25, Tls.OPPORTUNISTIC, True)


def test_a_domain_without_mx_is_its_own_exchanger(mx: DirectMx) -> None:
    (route,) = mx.routes("bare.example")
    assert (route.host, route.addresses) == ("bare.example", ("8.8.4.4",))


@pytest.mark.parametrize(
    ("domain", "reason"),
    [
        ("null.example", "null_mx"),
        ("missing.example", "no_such_domain"),
        ("private.example", "mx_not_public"),
        ("gone.example", "no_mx"),
        ("nothing.example", "no_mx"),
    ],
)
def test_a_domain_that_cannot_get_mail_fails_for_good(
    mx: DirectMx, domain: str, reason: str
) -> None:
    failure = failure_of(mx, domain)
    assert isinstance(failure, PermanentFailure)
    assert failure.reason == reason


@pytest.mark.parametrize("domain", ["servfail.example", "flaky.example"])
def test_a_broken_name_server_is_waited_for(mx: DirectMx, domain: str) -> None:
    assert isinstance(failure_of(mx, domain), TemporaryFailure)


def test_name_servers_that_hang_take_no_longer_than_the_whole_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A domain of many exchangers, none of which DNS tells of: the lease must outlive it."""
    monkeypatch.setattr(transports, "ROUTES_SECONDS", 1.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], silent.getsockname()[1]
        began = time.monotonic()
        failure = failure_of(DirectMx(resolver), "hang.example")
        assert time.monotonic() - began < 3
        mx = DirectMx(resolver)
        with pytest.raises(TemporaryFailure):
            mx._lookup("late.example", "A", time.monotonic() - 1)
    assert isinstance(failure, TemporaryFailure)


@pytest.mark.parametrize("domain", ["mixed.example", "half.example"])
def test_one_exchanger_that_can_be_reached_is_enough(mx: DirectMx, domain: str) -> None:
    (route,) = mx.routes(domain)
    assert route.addresses == ("9.9.9.9",)


def test_private_exchangers_are_dialled_when_the_setting_allows_it(
    resolver: dns.resolver.Resolver,
) -> None:
    (route,) = DirectMx(resolver, allow_private=True).routes("private.example")
    assert route.addresses == ("::1", "64:ff9b::a00:1", "10.1.2.3", "127.0.0.1")


def test_exchangers_of_equal_preference_share_the_mail(
    resolver: dns.resolver.Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        RECORDS, ("even.example", "MX"), [MX("first.two.example", 5), MX("second.two.example", 5)]
    )
    NAMES.add("even.example")
    firsts = {DirectMx(resolver).routes("even.example")[0].host for _ in range(40)}
    assert firsts == {"first.two.example", "second.two.example"}


def test_the_inbox_takes_everything_under_verified_tls() -> None:
    (route,) = LocalInbox(port=8025, ca_file="/ca.pem").routes("anywhere.example")
    assert (route.host, route.port, route.addresses) == ("localhost", 8025, ("127.0.0.1",))
    assert (route.tls, route.ca_file, route.is_final) == (Tls.VERIFIED, "/ca.pem", True)


@pytest.mark.parametrize(
    ("url", "tls", "port"),
    [
        ("smtp://mail.example", Tls.OPPORTUNISTIC, 25),
        ("smtp+starttls://u:p%40w@mail.example", Tls.VERIFIED, 587),
        ("smtps://u:p%40w@mail.example", Tls.IMPLICIT, 465),
        ("smtps://u:p%40w@mail.example:2465", Tls.IMPLICIT, 2465),
    ],
)
def test_a_relay_is_read_from_its_url(url: str, tls: Tls, port: int) -> None:
    (route,) = Relay(url).routes("anywhere.example")
    assert (route.host, route.port, route.tls, route.is_final) == (
        "mail.example",
        port,
        tls,
        False,
    )
    assert route.login == (Login("u", "p@w") if "u:" in url else None)


@pytest.mark.parametrize(
    "url", ["", "mail.example", "http://mail.example", "smtp://u:p@mail.example"]
)
def test_a_relay_that_would_send_a_password_in_clear_or_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="relay"):
        Relay(url)
