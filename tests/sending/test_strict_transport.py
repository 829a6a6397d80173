"""MTA-STS against a real DNS server, a real HTTPS server and a real SMTP server."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dns.resolver
import pytest
from django.utils import timezone
from dnslib import MX, QTYPE, RCODE, RR, TXT, A, DNSRecord
from dnslib.server import DNSHandler

from queensmtp import outbound
from queensmtp.errors import DeliveryFailure, TemporaryFailure
from sending import destinations, strict_transport
from sending.courier import Courier, Outcome
from sending.models import MtaStsPolicy
from sending.mta_sts import Mode, Policy
from sending.routes import Route, Tls
from sending.states import State
from sending.strict_transport import StrictTransport
from sending.transports import DirectMx
from tests.certificates import Authority
from tests.http_receiver import HttpReceiver, answer
from tests.outbound.dns_server import ScriptedZone, serving
from tests.roles import as_role
from tests.smtp_sink import SmtpSink

DOMAIN = "bee.example"
HOST = "mx.bee.example"
POLICY_HOST = f"mta-sts.{DOMAIN}"
RECORD = "v=STSv1; id=one;"
MESSAGE = b"From: a@hive.example\r\n\r\nHi\r\n"


class Zone(ScriptedZone):
    """bee.example, whose exchanger and policy host are this machine."""

    def __init__(self) -> None:
        super().__init__()
        self.record: str | None = RECORD

    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        reply = request.reply()
        name, kind = str(request.q.qname).rstrip(".").lower(), QTYPE[request.q.qtype]
        if (name, kind) == (DOMAIN, "MX"):
            reply.add_answer(RR(name, QTYPE.MX, rdata=MX(HOST, 10), ttl=0))
        elif name in (HOST, POLICY_HOST):
            if kind == "A":
                reply.add_answer(RR(name, QTYPE.A, rdata=A("127.0.0.1"), ttl=0))
        elif (name, kind) == (f"_mta-sts.{DOMAIN}", "TXT") and self.record:
            reply.add_answer(RR(name, QTYPE.TXT, rdata=TXT(self.record), ttl=0))
        else:
            reply.header.rcode = RCODE.NXDOMAIN
        return reply


def policy_text(*hosts: str, mode: str = "enforce") -> bytes:
    lines = ["version: STSv1", f"mode: {mode}", *[f"mx: {host}" for host in hosts]]
    return "\n".join([*lines, "max_age: 3600", ""]).encode()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def name_service() -> Iterator[tuple[Zone, tuple[str, int]]]:
    made = Zone()
    with serving(made) as address:
        yield made, address


@pytest.fixture
def zone(name_service: tuple[Zone, tuple[str, int]]) -> tuple[Zone, tuple[str, int]]:
    name_service[0].record = RECORD
    return name_service


@pytest.fixture
def policy_host(authority: Authority) -> Iterator[HttpReceiver]:
    with HttpReceiver(certificate=authority.issue(POLICY_HOST)) as receiver:
        publish(receiver, policy_text(HOST))
        yield receiver


def publish(
    receiver: HttpReceiver, text: bytes, *, status: int = 200, kind: str = "text/plain"
) -> None:
    receiver.play(answer(status, text, {"Content-Type": kind}))


@pytest.fixture
def strict(
    zone: tuple[Zone, tuple[str, int]],
    policy_host: HttpReceiver,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> StrictTransport:
    """The real look-up and the real fetch, sent to the ports of this test."""
    _, nameserver = zone
    policy = outbound.Policy(
        allow_loopback=True,
        ports=frozenset({policy_host.port}),
        ca_file=str(authority.ca_file),
        nameservers=(nameserver,),
    )
    monkeypatch.setattr(outbound, "send", sender(policy, policy_host.port))
    return StrictTransport(
        resolver_at(nameserver), strict_transport.fetch, ca_file=str(authority.ca_file)
    )


def sender(policy: outbound.Policy, port: int) -> Callable[[outbound.Request], outbound.Response]:
    async def run(request: outbound.Request) -> outbound.Response:
        client = outbound.Client(policy)
        try:
            return await client.send(request)
        finally:
            await client.close()

    def send(request: outbound.Request) -> outbound.Response:
        url = request.url.replace(f"{POLICY_HOST}/", f"{POLICY_HOST}:{port}/")
        return asyncio.run(run(outbound.Request(url, request.method, timeout=5)))

    return send


def resolver_at(nameserver: tuple[str, int]) -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [nameserver[0]], nameserver[1]
    return resolver


@pytest.fixture
def found(zone: tuple[Zone, tuple[str, int]]) -> tuple[Route, ...]:
    return DirectMx(resolver_at(zone[1]), allow_private=True).routes(DOMAIN)


def refusal(strict: StrictTransport, found: tuple[Route, ...]) -> str:
    with pytest.raises(TemporaryFailure) as failed:
        strict.bind(DOMAIN, found)
    return failed.value.reason


def known(id: str, *hosts: str, seconds: float = 3600) -> Policy:
    return Policy(id, Mode.ENFORCE, hosts, datetime.now(UTC) + timedelta(seconds=seconds))


# Which routes are left


def test_an_enforced_policy_demands_a_verified_certificate(
    strict: StrictTransport, found: tuple[Route, ...]
) -> None:
    (route,) = strict.bind(DOMAIN, found)
    assert (route.tls, route.mta_sts) == (Tls.VERIFIED, "enforce")


def test_an_exchanger_that_the_policy_does_not_name_gets_nothing(
    strict: StrictTransport, found: tuple[Route, ...], policy_host: HttpReceiver
) -> None:
    publish(policy_host, policy_text("other.bee.example"))
    assert refusal(strict, found) == "mta_sts"


@pytest.mark.parametrize(("mode", "told"), [("testing", "testing"), ("none", "")])
def test_other_modes_change_nothing_but_are_told(
    strict: StrictTransport,
    found: tuple[Route, ...],
    policy_host: HttpReceiver,
    mode: str,
    told: str,
) -> None:
    publish(policy_host, policy_text("other.bee.example", mode=mode))
    (route,) = strict.bind(DOMAIN, found)
    assert (route.tls, route.mta_sts) == (Tls.OPPORTUNISTIC, told)


def test_without_a_record_nothing_is_asked_for(
    strict: StrictTransport,
    found: tuple[Route, ...],
    policy_host: HttpReceiver,
    zone: tuple[Zone, tuple[str, int]],
) -> None:
    zone[0].record = None
    assert strict.bind(DOMAIN, found) == found
    assert policy_host.requests == []


def test_a_route_that_the_operator_chose_is_not_bound(strict: StrictTransport) -> None:
    relay = Route("relay.example", 25, Tls.OPPORTUNISTIC, is_final=False)
    assert strict.bind(DOMAIN, [relay]) == (relay,)


# What is remembered


def test_the_policy_is_fetched_once_until_its_id_changes(
    strict: StrictTransport,
    found: tuple[Route, ...],
    policy_host: HttpReceiver,
    zone: tuple[Zone, tuple[str, int]],
) -> None:
    strict.bind(DOMAIN, found)
    strict.bind(DOMAIN, found)
    assert len(policy_host.requests) == 1
    zone[0].record = "v=STSv1; id=two;"
    strict.bind(DOMAIN, found)
    assert len(policy_host.requests) == 2


def test_a_known_policy_binds_although_dns_is_silent_about_it(
    strict: StrictTransport, found: tuple[Route, ...], zone: tuple[Zone, tuple[str, int]]
) -> None:
    """Whoever can suppress the record must not take the protection away."""
    zone[0].record = None
    strict.remember({DOMAIN: known("one", "other.bee.example")})
    assert refusal(strict, found) == "mta_sts"


def test_a_policy_that_has_expired_binds_no_more(
    strict: StrictTransport, found: tuple[Route, ...], zone: tuple[Zone, tuple[str, int]]
) -> None:
    zone[0].record = None
    strict.remember({DOMAIN: known("one", "other.bee.example", seconds=-1)})
    assert strict.bind(DOMAIN, found) == found


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (404, "text/plain", policy_text(HOST)),
        (301, "text/plain", policy_text(HOST)),
        (200, "text/html", policy_text(HOST)),
        (200, "text/plain", b"\xff\xfe"),
        (200, "text/plain", b"no policy"),
    ],
)
def test_a_policy_that_cannot_be_read_leaves_the_known_one_and_is_not_asked_for_again_at_once(
    strict: StrictTransport,
    found: tuple[Route, ...],
    policy_host: HttpReceiver,
    status: int,
    kind: str,
    text: bytes,
) -> None:
    publish(policy_host, text, status=status, kind=kind)
    strict.remember({DOMAIN: known("old", HOST)})
    assert strict.bind(DOMAIN, found)[0].tls is Tls.VERIFIED
    strict.bind(DOMAIN, found)
    assert len(policy_host.requests) == 1
    assert strict.take_learned() == {}


def test_a_policy_host_whose_certificate_is_not_its_own_teaches_nothing(
    strict: StrictTransport,
    found: tuple[Route, ...],
    authority: Authority,
    policy_host: HttpReceiver,
    zone: tuple[Zone, tuple[str, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with HttpReceiver(certificate=authority.issue("other.example")) as impostor:
        publish(impostor, policy_text("evil.example"))
        policy = outbound.Policy(
            allow_loopback=True,
            ports=frozenset({impostor.port}),
            ca_file=str(authority.ca_file),
            nameservers=(zone[1],),
        )
        monkeypatch.setattr(outbound, "send", sender(policy, impostor.port))
        assert strict.bind(DOMAIN, found) == found


@pytest.mark.django_db
def test_policies_outlive_the_process(
    strict: StrictTransport,
    found: tuple[Route, ...],
    monkeypatch: pytest.MonkeyPatch,
    settings: Any,
) -> None:
    settings.DELIVERY_TRANSPORT = "mx"
    monkeypatch.setattr(strict_transport, "configured", lambda: strict)
    strict.bind(DOMAIN, found)
    with as_role("worker"):
        destinations.store_policies()
        destinations.store_policies()
        assert MtaStsPolicy.objects.get().policy.allows(HOST)

        fresh = StrictTransport(strict._resolver, strict._fetch)
        monkeypatch.setattr(strict_transport, "configured", lambda: fresh)
        destinations.recall_policies([DOMAIN])
        assert fresh._known[DOMAIN].id == "one"

        assert destinations.forget(now=timezone.now()) == 0
        assert destinations.forget(now=timezone.now() + timedelta(hours=2)) == 1


# The delivery itself


@pytest.fixture
def courier() -> Iterator[Courier]:
    made = Courier(ehlo_name="localhost", delivery_seconds=5)
    yield made
    made.pool.close()


def deliver(courier: Courier, routes: tuple[Route, ...], port: int) -> list[Outcome]:
    aimed = [Route(**{**fields_of(route), "port": port}) for route in routes]
    return courier.deliver(
        aimed, return_path="b@hive.example", recipients=[f"x@{DOMAIN}"], message=MESSAGE
    )


def fields_of(route: Route) -> dict[str, Any]:
    return {name: getattr(route, name) for name in Route.__dataclass_fields__}


def test_mail_goes_to_an_exchanger_that_proves_its_name(
    strict: StrictTransport, found: tuple[Route, ...], courier: Courier, authority: Authority
) -> None:
    with SmtpSink(certificate=authority.issue(HOST)) as sink:
        (outcome,) = deliver(courier, strict.bind(DOMAIN, found), sink.port)
    assert outcome.state is State.DELIVERED
    assert outcome.proof.mta_sts == "enforce"


@pytest.mark.parametrize("shown", ["evil.example", None])
def test_mail_waits_for_an_exchanger_that_does_not(
    strict: StrictTransport,
    found: tuple[Route, ...],
    courier: Courier,
    authority: Authority,
    shown: str | None,
) -> None:
    certificate = authority.issue(shown) if shown else None
    with SmtpSink(certificate=certificate) as sink:
        with pytest.raises(DeliveryFailure) as failed:
            deliver(courier, strict.bind(DOMAIN, found), sink.port)
        assert sink.messages == []
    assert isinstance(failed.value, TemporaryFailure)


@pytest.mark.parametrize(("certificate", "delivers"), [("evil.example", True), (None, False)])
def test_required_tls_takes_any_certificate_and_no_plaintext(
    courier: Courier, authority: Authority, certificate: str | None, delivers: bool
) -> None:
    route = Route("localhost", 0, Tls.REQUIRED, is_final=True, addresses=("127.0.0.1",))
    issued = authority.issue(certificate) if certificate else None
    with SmtpSink(certificate=issued) as sink:
        try:
            (outcome,) = deliver(courier, (route,), sink.port)
            assert outcome.proof.tls_version
        except TemporaryFailure:
            assert not delivers
        assert bool(sink.messages) == delivers
