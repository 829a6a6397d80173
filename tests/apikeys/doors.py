"""The two doors through which a key is presented, for tests that must hold at both."""

from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from sending import submission_port
from sending.mailrooms import Client as SmtpClient
from sending.mailrooms import LoggedIn

DOORS = ("http", "smtp")


@dataclass
class Answer:
    """What a caller saw. `text` is all of it but what differs from request to request."""

    is_in: bool
    text: str


@dataclass
class Doors:
    """Presents a token over HTTP or SMTP, from an address."""

    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def present(self, door: str, token: str, *, address: str = "127.0.0.1") -> Answer:
        return self.over_http(token, address) if door == "http" else over_smtp(token, address)

    def over_http(self, token: str, address: str = "127.0.0.1", **headers: str) -> Answer:
        response: Any = self.client.get(
            "/v1/emails",
            headers={"authorization": f"Bearer {token}", **headers},
            REMOTE_ADDR=address,
        )
        body = response.json()
        body.pop("request_id", None)
        return Answer(response.status_code == 200, f"{response.status_code} {body}")


def over_smtp(token: str, address: str) -> Answer:
    reply = submission_port.log_in("resend", token, SmtpClient(address, helo="client.example"))
    return Answer(isinstance(reply, LoggedIn), str(reply))
