"""Postfix, Exim and OpenSMTPD submit to us as to a smarthost, by both ports, with AUTH.

Run by `make mtas`, not with the suite: the servers are Debian's own.
"""

import smtplib
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from auditlog.models import Entry
from queensmtp.tenancy import tenant
from sending import serializers, smtp_server
from sending.mailrooms import Limits, Port
from sending.models import Message
from tests.certificates import Authority
from tests.factories.cast import Cast, make_cast, make_domain
from tests.factories.keys import make_key
from tests.mtas.servers import MTAS
from tests.mtas.ways import Smarthost, free_port, room
from tests.sending.running import submitting

pytestmark = pytest.mark.django_db(transaction=True)

ARRIVES_SECONDS = 20
TEXT = ".\r\n..\r\n.x\r\nGrüße 🐝\r\n" + "x" * 900 + "\r\n"


@pytest.fixture
def cast() -> Cast:
    made = make_cast()
    make_domain(made.hive, "good.example")
    return made


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(params=[True, False], ids=["implicit TLS", "STARTTLS"])
def door(request: pytest.FixtureRequest, authority: Authority) -> Iterator[tuple[int, bool]]:
    """One of our submission ports, as `manage.py smtpd` opens it."""
    is_implicit: bool = request.param
    tls = smtp_server.tls_context(*authority.issue("localhost", "127.0.0.1"))
    port = Port("localhost", Limits(100_000), tls=tls, is_implicit_tls=is_implicit, needs_tls=True)
    with submitting(port) as number:
        yield number, is_implicit


@pytest.mark.parametrize("mta", MTAS.values(), ids=MTAS)
def test_it_submits_as_to_a_smarthost(
    cast: Cast, authority: Authority, door: tuple[int, bool], mta: ModuleType
) -> None:
    number, is_implicit = door
    _, token = make_key(cast.hive)
    with room() as folder:
        ca_file = folder / "ca.pem"
        ca_file.write_bytes(authority.ca_file.read_bytes())
        way = Smarthost(free_port(), number, is_implicit, token, ca_file)
        with mta.running(way, folder) as port, smtplib.SMTP("127.0.0.1", port) as client:
            content = (
                "From: Alice <alice@good.example>\r\nTo: ann@wasp.example\r\nSubject: Hello\r\n"
                "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
                f"Content-Transfer-Encoding: 8bit\r\n\r\n{TEXT}"
            )
            client.ehlo("client.example")
            client.sendmail(
                "alice@good.example",
                ["ann@wasp.example", "bea@wasp.example"],
                content.encode(),
                ["BODY=8BITMIME"],
            )
            message = wait_for_message(cast)

    with tenant(cast.hive.pk):
        stored = serializers.content_of(message)
        assert stored is not None and stored.text is not None
        assert stored.text.replace("\r\n", "\n") == TEXT.replace("\r\n", "\n")
        recipients = sorted(message.recipients.values_list("address", flat=True))
        assert recipients == ["ann@wasp.example", "bea@wasp.example"]
        entry = Entry.objects.get(event="email.submitted")
    assert (entry.outcome, entry.ip) == ("allowed", "127.0.0.1")


def wait_for_message(cast: Cast) -> Message:
    ends_at = time.monotonic() + ARRIVES_SECONDS
    while time.monotonic() < ends_at:
        with tenant(cast.hive.pk):
            found = Message.objects.first()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("nothing came")
