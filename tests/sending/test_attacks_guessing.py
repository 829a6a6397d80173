"""Threats M6 and M11: passwords that are guessed, and a name in EHLO that attacks its reader."""

import base64
import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from django.conf import settings

from apikeys import tokens
from apikeys.tokens import Environment
from auditlog.models import Entry
from queensmtp import valkey
from queensmtp.tenancy import tenant
from sending import submission_port
from sending.mailrooms import Client, Limits, Port
from tests.console import get, sign_in, text
from tests.factories.cast import Cast
from tests.factories.keys import bearer, make_key
from tests.sending.conversations import Conversation, close_all
from tests.sending.running import submitting

TRIES = 1_000


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    close_all()


@pytest.fixture
def door() -> Iterator[int]:
    """Our submission port, without the TLS that would only make it slower."""
    with submitting(Port("localhost", Limits(100_000))) as number:
        yield number


def auth(password: str) -> bytes:
    return b"AUTH PLAIN " + base64.b64encode(f"\0queensmtp\0{password}".encode()) + b"\r\n"


def guess() -> bytes:
    """A key as it could be, so that each must be looked up."""
    return auth(tokens.mint(Environment.PRODUCTION).text)


def said_to(door: int, commands: bytes, *, source: str = "127.0.0.1") -> list[str]:
    """The codes of all replies to a client that says this and waits for the end."""
    with socket.create_connection(("127.0.0.1", door), 10, (source, 0)) as client:
        client.sendall(b"HELO client.example\r\n" + commands)
        replies = b"".join(iter(lambda: client.recv(65_536), b""))
    return [line[:3].decode() for line in replies.splitlines()]


# M6


@pytest.mark.django_db(transaction=True)
def test_a_thousand_guesses_in_one_session_are_three(door: int, cast: Cast) -> None:
    commands = b"".join(guess() for _ in range(TRIES)) + auth(make_key(cast.hive)[1])
    talk = Conversation(door)
    talk.hold("S: 220 .*\nC: HELO client.example\nS: 250 .*")
    talk.send(commands)
    talk.hold("S: 535 .*\nS: 535 .*\nS: 535 .*\nS: 421 4.7.0 .*\nCLOSED")


@pytest.mark.django_db(transaction=True)
def test_a_thousand_sessions_of_one_address_are_heard_and_then_sent_away(
    door: int, cast: Cast
) -> None:
    each_minute = settings.FAILED_AUTHENTICATIONS_PER_MINUTE
    assert each_minute < TRIES
    for bucket in valkey.client().keys("rate:failed-authentication*"):
        valkey.client().delete(bucket)
    began = time.monotonic()
    answers = Counter(said_to(door, guess() + b"QUIT\r\n")[2] for _ in range(TRIES))

    came_back = (time.monotonic() - began) * each_minute / 60 + 1
    assert answers.keys() == {"535", "454"}
    assert each_minute <= answers["535"] <= each_minute + came_back

    # Nobody else is sent away, nor is who knows the key.
    other = said_to(door, guess() + b"QUIT\r\n", source="127.0.0.2")
    good = said_to(door, auth(make_key(cast.hive)[1]) + b"QUIT\r\n")
    assert (other[2], good[2]) == ("535", "235")


# M11


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "name",
    [
        *("<script>alert(1)</script>", "[<script>]", "[127.0.0.1]<b>", "[IPv6:::1]'--"),
        *("[127.0.0.1](x) by evil", "a b", "client.example\tx", "a;b", 'a"b', "a\x1b[2J", "a\x7f"),
        *(
            "bücher.example",
            "＜b＞.example",
            "a\u2028b",
            "\u202egnp.exe",
            "%0d%0aMAIL",
            "${jndi:x}",
        ),
        *("x" * 256, "", "-" * 2_000),
    ],
)
def test_a_name_that_is_none_is_refused_and_kept_nowhere(door: int, cast: Cast, name: str) -> None:
    _, token = make_key(cast.hive, scopes=("email:read",))
    talk = Conversation(door)
    talk.hold("S: 220 .*")
    for verb in ("EHLO", "HELO"):
        talk.send(f"{verb} {name}\r\n".encode())
        talk.expect("501 5.5.4 That is no host name")
    talk.send(auth(token))
    talk.expect("503 5.5.1 EHLO first")
    with tenant(cast.hive.pk):
        assert not Entry.objects.filter(user_agent__startswith="SMTP").exists()


@pytest.mark.django_db(transaction=True)
def test_a_line_end_in_a_name_ends_the_line_or_the_session(door: int) -> None:
    assert said_to(door, b"EHLO a\r\nMAIL FROM:<evil@a.example>\r\nQUIT\r\n")[-2:] == ["530", "221"]
    for end in (b"\r", b"\n", b"\0"):
        assert said_to(door, b"EHLO a" + end + b"b\r\nNOOP\r\n") == ["220", "250", "500"]


@pytest.mark.django_db(transaction=True)
def test_a_name_of_ten_kilobytes_ends_the_session(door: int) -> None:
    assert said_to(door, b"EHLO " + b"x" * 10_000 + b"\r\nNOOP\r\n") == ["220", "250", "500"]


def test_a_name_that_came_past_the_door_all_the_same_is_shown_as_text(cast: Cast) -> None:
    hostile = "<img src=x onerror=alert(1)>\r\nInjected: \x1b[2J"
    _, token = make_key(cast.hive, scopes=("email:read",))
    reply = submission_port.log_in("queensmtp", token, Client("192.0.2.7", helo=hostile))
    assert str(reply).startswith("535 ")

    with tenant(cast.hive.pk):
        entry = Entry.objects.get(event="email.submitted")
    alice = sign_in(cast.alice.user)
    log, request = f"/console/audit-log/{entry.pk}", f"/console/requests/{entry.pk}"
    for path in (log, "/console/audit-log?q=SMTP", request, "/console/requests"):
        page = get(alice, path)
        assert page.status_code == 200, path
        assert "<img" not in text(page), path
    assert "&lt;img src=x onerror=alert(1)&gt;" in text(get(alice, log))

    _, reader = make_key(cast.hive)
    told = alice.get(f"/v1/audit-log/{entry.pk}", headers=bearer(reader), secure=True)
    assert told.headers["Content-Type"] == "application/json"
    assert "\r" not in told.content.decode() and "\x1b" not in told.content.decode()
