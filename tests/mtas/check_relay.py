"""Our queue delivers through Postfix, Exim and OpenSMTPD, and reads what they send back.

Run by `make mtas`, not with the suite: the servers are Debian's own.
"""

import base64
import email
import email.policy
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from types import ModuleType
from typing import Any
from uuid import UUID

import dkim as dkimpy
import pytest

from queensmtp.tenancy import tenant
from sending import actions, courier, parcels, transports
from sending.courier import Courier
from sending.models import Recipient
from tests.factories.cast import Cast, make_cast, make_domain
from tests.factories.emails import make_email
from tests.mtas.servers import MTAS
from tests.mtas.ways import Relay, free_port, room
from tests.roles import as_role
from tests.sending.deliveries import To, records_of
from tests.sending.returns import events, listening, suppressions
from tests.smtp_sink import Script, SmtpSink

pytestmark = pytest.mark.django_db(transaction=True)

ARRIVES_SECONDS = 20
FILE = bytes(range(256)) * 400
NAME = "Grüße 🐝.bin"

BODIES: dict[str, dict[str, Any]] = {
    "dots": {"text": ".\n..\n.x\n\n.\nFrom here\n"},
    "long lines": {"text": "x" * 5_000 + "\n" + "word " * 2_000},
    "beyond ASCII": {"text": "Grüße 🐝\n" * 200, "subject": "Ünïcödé 🐝 " * 12},
    "text and html": {"text": "a", "html": f"<p>{'ä' * 3_000}</p>"},
    "files": {
        "html": "<img src='cid:logo@hive'>",
        "attachments": [
            {"filename": NAME, "content": base64.b64encode(FILE).decode()},
            {"filename": "l.png", "content": [137, 80], "content_id": "logo@hive"},
        ],
    },
}


@pytest.fixture
def cast() -> Cast:
    made = make_cast()
    make_domain(made.hive, "hive.example")
    return made


@pytest.fixture(params=MTAS)
def mta(request: pytest.FixtureRequest) -> ModuleType:
    return MTAS[request.param]


@pytest.fixture
def way(mta: ModuleType, sink: SmtpSink, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """The mail server between our queue and the sink, which takes what leaves it."""
    with listening() as returns, room() as folder:
        relay = Relay(free_port(), sink.port, returns, return_host="send.hive.example")
        with mta.running(relay, folder) as port:
            monkeypatch.setattr(transports, "configured", lambda: To(port, is_final=False))
            yield relay


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[SmtpSink]:
    ours = Courier(ehlo_name="localhost", delivery_seconds=10)
    monkeypatch.setattr(parcels, "_ring", parcels.KeyRing())
    monkeypatch.setattr(courier, "configured", lambda: ours)
    with SmtpSink() as made:
        yield made
    ours.pool.close()


def deliver() -> None:
    with as_role("worker"):
        actions.deliver_due()


def recipient_of(cast: Cast, email_id: UUID) -> Recipient:
    with tenant(cast.hive.pk):
        return Recipient.objects.get(message_id=email_id)


def wait_until(is_so: Callable[[], object]) -> None:
    ends_at = time.monotonic() + ARRIVES_SECONDS
    while not is_so():
        assert time.monotonic() < ends_at, "nothing came"
        time.sleep(0.1)


def opened(content: bytes) -> EmailMessage:
    found = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def test_everything_arrives_as_it_was_signed(cast: Cast, way: Relay, sink: SmtpSink) -> None:
    ids = {
        kind: make_email(cast.hive, **{"subject": kind, **body}) for kind, body in BODIES.items()
    }
    deliver()
    assert {recipient_of(cast, one).state for one in ids.values()} == {"sent"}
    wait_until(lambda: len(sink.messages) == len(ids))

    arrived = {mail["Message-ID"]: one for one in sink.messages for mail in [opened(one.content)]}
    for kind, email_id in ids.items():
        content = arrived[f"<{email_id}@hive.example>"].content
        verdicts = [dkimpy.DKIM(content).verify(idx=n, dnsfunc=records_of(cast)) for n in (0, 1)]
        assert verdicts == [True, True], kind
        expect_as_asked(opened(content), BODIES[kind])


def expect_as_asked(mail: EmailMessage, body: dict[str, Any]) -> None:
    for subtype, field in (("plain", "text"), ("html", "html")):
        if field in body:
            part = mail.get_body((subtype,))
            assert part is not None
            content = part.get_content().replace("\r\n", "\n")
            assert content.rstrip("\n") == body[field].rstrip("\n")
    if "subject" in body:
        assert mail["Subject"] == body["subject"].rstrip() or mail["Subject"] == body["subject"]
    for file in body.get("attachments", ()):
        (found,) = [one for one in mail.walk() if one.get_filename() == file["filename"]]
        given = file["content"]
        data = bytes(given) if isinstance(given, list) else base64.b64decode(given)
        assert found.get_payload(decode=True) == data


def test_an_address_beyond_ascii_arrives_where_that_is_offered(
    cast: Cast, mta: ModuleType, way: Relay, sink: SmtpSink
) -> None:
    email_id = make_email(cast.hive, to="jürgen@bücher.example")
    deliver()
    found = recipient_of(cast, email_id)
    if not mta.OFFERS_SMTPUTF8:
        assert (found.state, found.smtp_code, found.enhanced_code) == ("bounced", 550, "5.6.7")
        return
    assert found.state == "sent"
    wait_until(lambda: sink.messages)
    (received,) = sink.messages
    local, _, domain = received.recipients[0].partition("@")
    assert local == "jürgen"
    assert domain.encode("idna") == "bücher.example".encode("idna")
    assert dkimpy.DKIM(received.content).verify(dnsfunc=records_of(cast))


def test_its_report_of_an_unknown_recipient_is_read(cast: Cast, way: Relay, sink: SmtpSink) -> None:
    refusal = "550 5.1.1 <nobody@wasp.example>: no such user here"
    sink.script = Script(recipients={"nobody@wasp.example": refusal})
    email_id = make_email(cast.hive, to="nobody@wasp.example")
    deliver()
    wait_until(lambda: recipient_of(cast, email_id).state == "bounced")

    event = events(cast)[-1]
    assert event.type == "email.bounced"
    assert (event.data["code"], event.data["enhanced_code"]) == (550, "5.1.1")
    assert "no such user" in event.data["reply"]
    assert suppressions(cast) == [("nobody@wasp.example", "bounce")]
