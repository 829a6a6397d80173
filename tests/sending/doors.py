"""The three ways in, alike for the tests of hostile input: what came of it, and whether any of
it was stored."""

import json
from dataclasses import dataclass
from typing import Any

from django.test import Client

from queensmtp.tenancy import tenant
from sending import submission_port
from sending.mailrooms import Client as SmtpClient
from sending.mailrooms import Envelope
from sending.models import Message
from sending.submission_port import Login
from tests.factories.cast import Cast
from tests.factories.keys import bearer

DOORS = ("api", "batch", "smtp")
TO = "ann@wasp.example"
GOOD = "alice@good.example"


@dataclass(frozen=True)
class Answer:
    """`code` is the HTTP status, or the code of the SMTP reply."""

    code: int
    text: str

    @property
    def is_accepted(self) -> bool:
        return self.code in (202, 250)


def by_http(door: str, token: str, fields: Any) -> Answer:
    """An e-mail to Ann with these fields; by `batch` as the second of three."""
    mail = {"from": GOOD, "to": TO, "subject": "Hello", "text": "Hi"}
    hostile = mail | fields
    body: Any = [mail, hostile, mail] if door == "batch" else hostile
    path = "/v1/emails/batch" if door == "batch" else "/v1/emails"
    response = Client().post(
        path, json.dumps(body), content_type="application/json", headers=bearer(token)
    )
    return Answer(response.status_code, response.content.decode())


def by_smtp(token: str, content: bytes, *, sender: str = GOOD) -> Answer:
    """A raw message, after the dialogue's own checks of its envelope."""
    client = SmtpClient("127.0.0.1", helo="client.example", tls_version="TLSv1.3")
    client.login = Login(token)
    envelope = Envelope(sender, recipients=[TO])
    reply = submission_port.refuse_sender(envelope, client) or submission_port.take(
        envelope, content, client
    )
    return Answer(int(reply[:3]), reply)


def raw(*headers: str, body: str = "Hi") -> bytes:
    """A message with exactly these header lines, and a To and a Subject."""
    lines = [*headers, f"To: {TO}", "Subject: Hello", "", body, ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape")


def stored(cast: Cast) -> list[Message]:
    with tenant(cast.hive.pk):
        return list(Message.objects.order_by("pk"))
