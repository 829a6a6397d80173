"""nodemailer and swaks, as they are installed, against the submission ports."""

import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from queensmtp.tenancy import tenant
from sending import smtp_server
from sending.mailrooms import Limits, Port
from sending.models import Message, Recipient
from sending.serializers import content_of
from sending.submission_port import SubmissionMailroom
from tests.certificates import Authority
from tests.factories.cast import Cast
from tests.sending.running import running

ACCEPTED = re.compile(r"250 2\.0\.0 Accepted as ([0-9a-f-]{36})")


@contextmanager
def submission(authority: Authority, *, implicit: bool) -> Iterator[int]:
    tls = smtp_server.tls_context(*authority.issue("localhost"))
    port = Port(
        "localhost", Limits(100_000), tls=tls, is_implicit_tls=implicit, needs_tls=not implicit
    )
    with ThreadPoolExecutor(1) as executor:
        with running(port, SubmissionMailroom(executor)) as number:
            yield number
        executor.submit(connections.close_all).result()


def recipients(cast: Cast) -> dict[str, str]:
    with tenant(cast.hive.pk):
        return dict(Recipient.objects.values_list("address", "kind"))


@pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "starttls"])
def test_nodemailer_sends(
    hive: Cast,
    token: str,
    authority: Authority,
    run_node: Callable[..., Any],
    implicit: bool,
) -> None:
    with submission(authority, implicit=implicit) as number:
        found = run_node(
            "nodemailer.mjs",
            API_KEY=token,
            SMTP_PORT=str(number),
            SMTP_SECURE="yes" if implicit else "no",
        )

    accepted = ACCEPTED.fullmatch(found["first"])
    assert accepted and found["second"] == found["first"]
    assert found["stranger"] == ["EAUTH", 535]
    assert found["evil"][1] == 550
    assert recipients(hive) == {"ann@wasp.example": "to", "cy@wasp.example": "bcc"}
    with tenant(hive.hive.pk):
        message = Message.objects.get(pk=accepted[1])
        content = content_of(message)
    assert content is not None
    assert (message.subject, content.text) == ("Grüße", "Hi")
    assert [one.content_id for one in content.attachments] == ["logo"]
    assert content.headers == (("X-Tags", '["order"]'),)


@pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "starttls"])
def test_swaks_sends(hive: Cast, token: str, authority: Authority, implicit: bool) -> None:
    with submission(authority, implicit=implicit) as number:
        done = swaks(number, authority, token, "--tls-on-connect" if implicit else "--tls")

    assert done.returncode == 0, done.stdout + done.stderr
    accepted = ACCEPTED.search(done.stdout)
    assert accepted
    with tenant(hive.hive.pk):
        assert Message.objects.get(pk=accepted[1]).subject == "From swaks"


def test_swaks_hears_that_the_password_is_wrong(
    hive: Cast, token: str, authority: Authority
) -> None:
    with submission(authority, implicit=False) as number:
        done = swaks(number, authority, "wrong", "--tls")
    assert done.returncode == 28, done.stdout
    assert "535 5.7.8" in done.stdout


def test_swaks_without_tls_gets_nowhere(hive: Cast, token: str, authority: Authority) -> None:
    with submission(authority, implicit=False) as number:
        done = swaks(number, authority, token)
    assert done.returncode == 28, done.stdout
    assert token not in done.stdout.replace("\n", "")
    assert recipients(hive) == {}


def swaks(
    number: int, authority: Authority, password: str, *options: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [
            *("swaks", "--server", "localhost", "--port", str(number), *options),
            *("--tls-verify", "--tls-ca-path", str(authority.ca_file)),
            *("--auth", "PLAIN", "--auth-user", "queensmtp", "--auth-password", password),
            *("--from", "hello@hive.example", "--to", "ann@wasp.example"),
            *("--helo", "client.example", "--h-Subject", "From swaks"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
