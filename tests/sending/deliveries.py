"""Where the mail of a test goes: a server of its own, however it would be looked up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from domains import dkim_keys
from domains.models import DkimKey
from queensmtp.tenancy import tenant
from sending import courier, parcels, transports
from sending.courier import Courier
from sending.routes import Route, Tls
from tests.factories.cast import Cast
from tests.smtp_sink import SmtpSink


@dataclass
class To:
    """A transport that leads everything to one server."""

    port: int
    is_final: bool = True

    def routes(self, domain: str) -> tuple[Route, ...]:
        tls = Tls.OPPORTUNISTIC
        return (Route("localhost", self.port, tls, self.is_final, addresses=("127.0.0.1",)),)


@contextmanager
def delivering_to_sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpSink]:
    """A courier and a key ring of this test's own, and the server that gets everything."""
    ours = Courier(ehlo_name="localhost", delivery_seconds=5)
    monkeypatch.setattr(parcels, "_ring", parcels.KeyRing())
    monkeypatch.setattr(courier, "configured", lambda: ours)
    with SmtpSink() as sink:
        monkeypatch.setattr(transports, "configured", lambda: To(sink.port))
        yield sink
    ours.pool.close()


def records_of(cast: Cast) -> Callable[..., bytes]:
    """The DKIM records of Hive, for dkimpy to look up."""
    with tenant(cast.hive.pk):
        records = {
            f"{key.selector}._domainkey.{key.domain.name}.": dkim_keys.dns_record(
                bytes(key.public_key)
            ).encode()
            for key in DkimKey.objects.select_related("domain")
        }
    return lambda name, timeout=5: records[name.decode()]
