"""What an SMTP port of ours is for: the questions that the protocol asks and does not answer."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may take of us."""

    message_bytes: int
    recipients: int = 1_000
    sessions: int = 1_000
    sessions_per_address: int = 100
    # From one complete command to the next.
    idle_seconds: float = 60.0
    # From the 354 to the final dot.
    content_seconds: float = 300.0


@dataclass(slots=True)
class Envelope:
    """One message under way."""

    sender: str
    smtputf8: bool = False
    recipients: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Client:
    """Who is at the other end; `login` is whatever the mailroom made of the password."""

    address: str
    helo: str = ""
    tls_version: str = ""
    tls_cipher: str = ""
    login: Any = None


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The mailroom knows the client under this."""

    login: Any


class Mailroom(Protocol):
    """What an SMTP port is for. A reply is a whole line such as `550 5.1.1 No such user`."""

    needs_login: bool

    async def log_in(self, user: str, password: str, client: Client) -> LoggedIn | str:
        """LoggedIn, or the reply that refuses."""

    async def refuse_sender(self, envelope: Envelope, client: Client) -> str | None:
        """None if the sender is taken, else the reply."""

    async def refuse_recipient(
        self, address: str, envelope: Envelope, client: Client
    ) -> str | None:
        """None if the recipient is taken, else the reply."""

    async def take(self, envelope: Envelope, content: bytes, client: Client) -> str:
        """The reply to the message; a 250 promises that it is stored for good."""


@dataclass(frozen=True, slots=True)
class Port:
    """How a port answers: its name in the greeting, its TLS, its limits."""

    name: str
    limits: Limits
    tls: ssl.SSLContext | None = None
    is_implicit_tls: bool = False
    needs_tls: bool = False
