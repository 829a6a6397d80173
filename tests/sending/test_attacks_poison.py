"""Threat Q10: messages and servers that break whoever touches them stop nobody else."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

import dns.resolver
import pytest
from django.db import connection
from django.utils import timezone

from queensmtp.tenancy import tenant
from sending import actions, backoff, courier, mime, transports
from sending.backoff import Schedule
from sending.contents import Content
from sending.models import Recipient
from sending.routes import Route
from sending.transports import DirectMx
from tests.factories.cast import Cast, make_cast, make_domain
from tests.factories.emails import make_email
from tests.factories.keys import make_key
from tests.roles import as_role
from tests.sending.deliveries import To, delivering_to_sink
from tests.smtp_sink import SmtpSink

GIGABYTE = 1_000_000_000
# What the sockets of both ends hold at most, beside what we read.
IN_FLIGHT = 16_000_000


class RawServer:
    """Says what it is told to whoever comes, however much it is, and knows no protocol."""

    def __init__(self, piece: bytes, *, count: int = 1) -> None:
        self._piece, self._count = piece, count
        self.sent = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._listen, daemon=True)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=[client], daemon=True).start()

    def _talk(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(5)
            for _ in range(self._count):
                client.sendall(self._piece)
                self.sent += len(self._piece)
            while client.recv(65_536):
                pass


@dataclass
class ByDomain:
    """A transport that leads each domain to a server of its own, and the rest by default."""

    default: Any
    ways: dict[str, Any] = field(default_factory=dict)

    def routes(self, domain: str) -> tuple[Route, ...]:
        found: tuple[Route, ...] = self.ways.get(domain, self.default).routes(domain)
        return found


@contextlib.contextmanager
def silent_dns() -> Iterator[DirectMx]:
    """A name server that takes every question and answers none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], silent.getsockname()[1]
        yield DirectMx(resolver)


SAID = {
    "code 000": (b"000 hello\r\n", 1),
    "code 999": (b"999 hello\r\n", 1),
    "code 99": (b"99 hello\r\n", 1),
    "code in other digits": ("２２０ hello\r\n".encode(), 1),
    "NULs": (bytes(1_000), 1),
    "HTTP": (b"HTTP/1.1 200 OK\r\n\r\n", 1),
    "a banner of a gigabyte on one line": (b"220-" + b"x" * 999_996, 1_000),
    "a banner of a gigabyte in lines": (b"220-more\r\n" * 100_000, 1_000),
    "nothing": (b"", 1),
}


@contextlib.contextmanager
def poisoned(kind: str, sink: SmtpSink, monkeypatch: pytest.MonkeyPatch) -> Iterator[RawServer]:
    """Mail to poison.example meets the poison; every other finds the sink."""
    monkeypatch.setattr(transports, "ROUTES_SECONDS", 0.4)
    monkeypatch.setattr(courier.configured(), "delivery_seconds", 0.5)
    piece, count = SAID.get(kind, (b"", 1))
    with RawServer(piece, count=count) as raw, silent_dns() as silent:
        way = {"DNS that hangs": silent, "a renderer that raises": To(sink.port)}
        ways = {"poison.example": way.get(kind, To(raw.port))}
        monkeypatch.setattr(transports, "configured", lambda: ByDomain(To(sink.port), ways))
        build = mime.build

        def raises_for_poison(content: Content) -> bytes:
            if kind == "a renderer that raises" and content.subject == "poison":
                raise RecursionError
            return build(content)

        monkeypatch.setattr(mime, "build", raises_for_poison)
        yield raw


def poison_of(cast: Cast) -> Recipient:
    with tenant(cast.hive.pk):
        return Recipient.objects.get(address="ann@poison.example")


def come_back(cast: Cast) -> None:
    """The time of the next attempt, and the end of the destination's rest."""
    with as_role("worker"), connection.cursor() as cursor:
        cursor.execute("UPDATE sending_destination SET resting_until = NULL")
    with tenant(cast.hive.pk):
        Recipient.objects.filter(state="deferred").update(
            due_at=timezone.now() - timedelta(seconds=1)
        )


@pytest.mark.parametrize("kind", [*SAID, "DNS that hangs", "a renderer that raises"])
def test_poison_is_tried_again_then_parked_and_the_queue_moves_on(
    cast: Cast, sink: SmtpSink, monkeypatch: pytest.MonkeyPatch, settings: Any, kind: str
) -> None:
    make_domain(cast.hive, "hive.example")
    make_email(cast.hive, to="ann@poison.example", subject="poison")
    with poisoned(kind, sink, monkeypatch) as raw, as_role("worker"):
        for attempt in (1, 2):
            with as_role("app"):
                make_email(cast.hive, to=f"bea{attempt}@wasp.example")
            actions.deliver_due()
            found = poison_of(cast)
            assert (found.state, found.attempts) == ("deferred", attempt)
            assert found.due_at > timezone.now()
            come_back(cast)
        assert [one.recipients for one in sink.messages] == [
            ("bea1@wasp.example",),
            ("bea2@wasp.example",),
        ]
        assert raw.sent < 2 * IN_FLIGHT

        settings.DELIVERY_FINAL_AGE_SECONDS = 0
        actions.deliver_due()
        assert poison_of(cast).state == "failed"
        come_back(cast)
        assert actions.deliver_due() == 0


def test_poison_is_parked_after_so_many_attempts() -> None:
    schedule, accepted_at = Schedule(), timezone.now()
    for chance in (0.0, 0.5, 0.999):
        at: datetime | None = accepted_at
        attempts = 0
        while at:
            attempts += 1
            at = backoff.next_attempt_at(
                now=at, accepted_at=accepted_at, attempt=attempts, schedule=schedule, chance=chance
            )
        assert 20 <= attempts <= 70


@pytest.mark.django_db(transaction=True)
def test_an_account_whose_destinations_all_hang_delays_only_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cast = make_cast()
    make_domain(cast.hive, "hive.example")
    make_domain(cast.wasp, "wasp.example")
    hang = 2.0
    monkeypatch.setattr(transports, "ROUTES_SECONDS", hang)
    key = make_key(cast.wasp)[0]
    for number in range(24):
        make_email(cast.wasp, key=key, sender="w@wasp.example", to=f"a@hang{number}.example")

    with delivering_to_sink(monkeypatch) as sink, silent_dns() as silent:
        quick = {"quick.example": To(sink.port)}
        monkeypatch.setattr(transports, "configured", lambda: ByDomain(silent, quick))
        monkeypatch.setattr("sending.rounds.ROUND_SECONDS", hang)
        worker = threading.Thread(target=one_round)
        worker.start()
        time.sleep(0.7)
        began = time.monotonic()
        make_email(cast.hive, to="bea@quick.example")
        while not sink.messages and time.monotonic() - began < 2 * hang:
            time.sleep(0.01)
        waited = time.monotonic() - began
        worker.join(30)

    assert sink.messages, "it was never delivered"
    assert waited < hang / 2


def one_round() -> None:
    try:
        with as_role("worker"):
            actions.deliver_due()
    finally:
        connection.close()
