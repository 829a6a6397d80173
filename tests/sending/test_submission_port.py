"""SMTP submission: the sessions of real clients, and the gates that they pass."""

import smtplib
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from typing import Any

import pytest
from django.db import connections

from apikeys import actions as keys
from apikeys.models import ApiKey
from apikeys.tokens import Environment, mint
from auditlog.models import Entry
from queensmtp import valkey
from queensmtp.actors import system_actor
from queensmtp.tenancy import tenant
from sending import smtp_server, submission_port
from sending.mailrooms import Client, Envelope, Limits, LoggedIn, Port
from sending.models import Message, Recipient
from sending.submission_port import Login, SubmissionMailroom
from tests.certificates import Authority
from tests.factories.cast import Cast, make_domain
from tests.factories.keys import make_key
from tests.sending.running import running

CONTENT = b"From: Hive <hello@hive.example>\r\nTo: ann@wasp.example\r\nSubject: Hello\r\n\r\nHi\r\n"


@pytest.fixture
def hive(cast: Cast) -> Cast:
    make_domain(cast.hive, "hive.example")
    return cast


def key_of(cast: Cast, **rights: Any) -> tuple[ApiKey, str]:
    return make_key(cast.hive, **rights)


def client_with(token: str) -> Client:
    return Client("127.0.0.1", helo="client.example", tls_version="TLSv1.3", login=Login(token))


def log_in(password: str, *, user: str = "queensmtp", address: str = "127.0.0.1") -> Any:
    return submission_port.log_in(user, password, Client(address, helo="client.example"))


def send(token: str, content: bytes = CONTENT, **envelope: Any) -> str:
    """MAIL and the content, as the session does them."""
    given = Envelope(
        **({"sender": "b@hive.example", "recipients": ["ann@wasp.example"]} | envelope)
    )
    client = client_with(token)
    return submission_port.refuse_sender(given, client) or submission_port.take(
        given, content, client
    )


def messages_of(cast: Cast) -> list[Message]:
    with tenant(cast.hive.pk):
        return list(Message.objects.all())


def refusals_of(cast: Cast) -> list[str]:
    with tenant(cast.hive.pk):
        refused = Entry.objects.filter(event="email.submitted", outcome="refused")
        return [entry.changes["reason"] for entry in refused]


# AUTH


@pytest.mark.parametrize("user", ["queensmtp", "resend", "apikey", "Resend"])
def test_the_password_is_the_key(hive: Cast, user: str) -> None:
    assert isinstance(log_in(key_of(hive)[1], user=user), LoggedIn)


def test_another_user_name_is_wrong(hive: Cast) -> None:
    assert log_in(key_of(hive)[1], user="alice").startswith("535 ")


@pytest.mark.parametrize("password", ["", "wrong", "qs_prod_" + "0" * 54, "x" * 10_000, "é\x00"])
def test_what_is_no_key_is_refused(hive: Cast, password: str) -> None:
    assert log_in(password).startswith("535 5.7.8 ")


def test_a_key_that_nobody_has_is_refused(hive: Cast) -> None:
    assert log_in(mint(Environment.PRODUCTION).text).startswith("535 ")
    assert refusals_of(hive) == []


def test_a_key_is_refused_from_another_address_and_its_owner_learns_it(hive: Cast) -> None:
    _, token = key_of(hive, allowed_cidrs=("203.0.113.0/24",))
    reply = log_in(token, address="198.51.100.7")
    assert reply.startswith("535 5.7.8 This API key may not be used from 198.51.100.7")
    assert refusals_of(hive) == ["ip_not_allowed"]
    assert isinstance(log_in(token, address="::ffff:203.0.113.9"), LoggedIn)


def test_a_key_without_the_scope_is_refused(hive: Cast) -> None:
    _, token = key_of(hive, scopes=("email:read",))
    assert "email:send" in log_in(token)
    assert refusals_of(hive) == ["insufficient_scope"]


def test_an_address_that_only_fails_is_sent_away(
    hive: Cast, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    # Counted in this process, so that a slow Valkey cannot change the count.
    settings.WEB_PROCESSES = 1
    monkeypatch.setattr(valkey._Breaker, "closed_until", float("inf"))
    settings.FAILED_AUTHENTICATIONS_PER_MINUTE = 3
    replies = [log_in("wrong", address="192.0.2.1")[:3] for _ in range(5)]
    assert replies == ["535", "535", "535", "454", "454"]
    assert log_in("wrong", user="root", address="192.0.2.1").startswith("454 ")
    assert log_in("wrong", address="192.0.2.2").startswith("535 ")


def test_a_good_key_still_logs_in_from_an_address_that_failed_too_often(
    hive: Cast, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.WEB_PROCESSES = 1
    monkeypatch.setattr(valkey._Breaker, "closed_until", float("inf"))
    settings.FAILED_AUTHENTICATIONS_PER_MINUTE = 1
    replies = [log_in("wrong", address="192.0.2.3")[:3] for _ in range(2)]
    assert replies == ["535", "454"]
    assert isinstance(log_in(key_of(hive)[1], address="192.0.2.3"), LoggedIn)


def test_the_token_is_not_shown() -> None:
    assert "secret" not in repr(client_with("secret"))


# MAIL, RCPT


def test_a_key_revoked_in_mid_session_is_dead_at_the_next_message(hive: Cast) -> None:
    key, token = key_of(hive)
    assert send(token).startswith("250 ")
    with tenant(hive.hive.pk):
        keys.revoke(by=system_actor(hive.hive.pk, "tests"), key=key)
    assert send(token).startswith("550 5.7.1 The API key is not valid")
    client, envelope = client_with(token), Envelope("b@hive.example", False, ["ann@wasp.example"])
    assert submission_port.take(envelope, CONTENT, client).startswith("550 5.7.1 ")
    assert len(messages_of(hive)) == 1


def test_a_sender_outside_the_keys_domains_is_refused_at_once(hive: Cast) -> None:
    _, token = key_of(hive, domains=("hive.example",))
    refused = Envelope("x@evil.example")
    reply = submission_port.refuse_sender(refused, client_with(token))
    assert reply is not None and reply.startswith("550 5.7.1 This API key may send from hive")
    assert refusals_of(hive) == ["domain_not_allowed"]


@pytest.mark.parametrize(
    "sender",
    ["", "postmaster", "@relay.example:x@hive.example", "x@[127.0.0.1]", "a%b@hive.example"],
)
def test_a_sender_that_is_no_address_is_refused(hive: Cast, sender: str) -> None:
    reply = submission_port.refuse_sender(Envelope(sender), client_with(key_of(hive)[1]))
    assert reply is not None and reply.startswith("550 5.1.7 ")


@pytest.mark.parametrize(
    "recipient", ["ann%evil.example@wasp.example", "a!b@wasp.example", "root@localhost", "root"]
)
def test_a_recipient_that_asks_for_routing_or_is_internal_is_refused(recipient: str) -> None:
    reply = submission_port.refuse_recipient(recipient)
    assert reply is not None and reply.startswith("550 5.1.3 ")


# The message


def test_a_message_is_accepted_with_its_id_and_one_audit_entry(hive: Cast) -> None:
    reply = send(key_of(hive)[1], recipients=["ann@wasp.example", "secret@wasp.example"])
    (message,) = messages_of(hive)
    assert reply == f"250 2.0.0 Accepted as {message.pk}"
    assert (message.via, message.sender, message.subject) == (
        "smtp",
        "Hive <hello@hive.example>",
        "Hello",
    )
    with tenant(hive.hive.pk):
        kinds = dict(Recipient.objects.values_list("address", "kind"))
        assert kinds == {"ann@wasp.example": "to", "secret@wasp.example": "bcc"}
        (entry,) = Entry.objects.filter(event="email.submitted")
        assert (entry.outcome, entry.target_id) == ("allowed", str(message.pk))
        assert entry.user_agent == "SMTP client.example"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"From: x@evil.example\r\n\r\nHi\r\n", "content_refused"),
        (b"From: a@hive.example\r\nFrom: x@evil.example\r\n\r\nHi\r\n", "content_refused"),
        (b"From: a@hive.example, x@evil.example\r\n\r\nHi\r\n", "content_refused"),
        (b"From: a@hive.example\r\nSubject: =?utf-8?q?=0D=0A?=\r\n\r\nHi", "validation_error"),
    ],
)
def test_content_that_the_api_would_refuse_is_refused(
    hive: Cast, content: bytes, reason: str
) -> None:
    assert send(key_of(hive)[1], content).startswith("554 5.6.0 ")
    assert messages_of(hive) == []
    assert refusals_of(hive) == [reason]


def test_a_domain_that_is_not_verified_is_refused(hive: Cast) -> None:
    make_domain(hive.hive, "new.example", verified=False)
    content = CONTENT.replace(b"hive.example", b"new.example")
    reply = send(key_of(hive)[1], content, sender="b@new.example")
    assert reply.startswith("550 5.7.1 The domain new.example is not verified")
    assert refusals_of(hive) == ["domain_not_verified"]


def test_the_domain_of_another_account_is_refused(hive: Cast) -> None:
    make_domain(hive.wasp, "wasp.example")
    content = CONTENT.replace(b"hello@hive.example", b"hello@wasp.example")
    reply = send(key_of(hive)[1], content, sender="b@wasp.example")
    assert reply.startswith("550 5.7.1 ")
    assert messages_of(hive) == []


def test_a_recipient_outside_the_keys_rule_is_refused(hive: Cast) -> None:
    _, token = key_of(hive, allowed_recipients=("@hive.example",))
    assert send(token).startswith("550 5.7.1 This API key may write only to @hive.example")
    assert messages_of(hive) == []


def test_the_same_idempotency_key_is_the_same_message(hive: Cast) -> None:
    _, token = key_of(hive)
    keyed = b"Resend-Idempotency-Key: order-17\r\n" + CONTENT
    first = send(token, keyed)
    assert send(token, keyed.replace(b"Hi", b"Hi again")) == first
    assert send(token, keyed, recipients=["bea@wasp.example"]).startswith("550 ")
    assert len(messages_of(hive)) == 1


def test_too_many_messages_are_to_come_again(hive: Cast) -> None:
    _, token = key_of(hive, rate_requests=1, rate_per_seconds=3600)
    assert send(token).startswith("250 ")
    assert send(token).startswith("451 4.7.0 ")


def test_a_message_beyond_the_quota_is_to_come_again(hive: Cast) -> None:
    _, token = key_of(hive, daily_quota=1)
    assert send(token).startswith("250 ")
    assert send(token).startswith("451 4.7.0 The daily quota of this API key is 1 recipient")
    assert refusals_of(hive) == ["daily_quota_exceeded"]
    assert len(messages_of(hive)) == 1


def test_a_message_that_no_quota_will_ever_have_room_for_is_refused_for_good(hive: Cast) -> None:
    _, token = key_of(hive, daily_quota=1)
    reply = send(token, recipients=["ann@wasp.example", "bea@wasp.example"])
    assert reply.startswith(
        "550 5.7.1 The daily quota of this API key is 1 recipient; this alone asks"
    )
    assert messages_of(hive) == []


# Real clients over real sockets


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor
        executor.submit(connections.close_all).result()


@pytest.fixture(params=["implicit", "starttls"])
def connected(
    request: pytest.FixtureRequest, authority: Authority, executor: ThreadPoolExecutor
) -> Iterator[smtplib.SMTP]:
    tls = smtp_server.tls_context(*authority.issue("localhost"))
    is_implicit = request.param == "implicit"
    port = Port(
        "localhost",
        Limits(100_000),
        tls=tls,
        is_implicit_tls=is_implicit,
        needs_tls=not is_implicit,
    )
    trust = ssl.create_default_context(cafile=authority.ca_file)
    with running(port, SubmissionMailroom(executor)) as number:
        if is_implicit:
            client: smtplib.SMTP = smtplib.SMTP_SSL("localhost", number, context=trust)
        else:
            client = smtplib.SMTP("localhost", number)
            client.starttls(context=trust)
        yield client
        client.close()


@pytest.mark.django_db(transaction=True)
def test_smtplib_logs_in_and_sends(connected: smtplib.SMTP, hive: Cast) -> None:
    connected.login("queensmtp", key_of(hive)[1])
    message = EmailMessage()
    message["From"], message["To"] = "Hive <hello@hive.example>", "ann@wasp.example"
    message["Subject"] = "Grüße"
    message.set_content("Hällo")
    assert connected.send_message(message) == {}
    (stored,) = messages_of(hive)
    assert stored.subject == "Grüße"


@pytest.mark.django_db(transaction=True)
def test_smtplib_hears_that_the_password_is_wrong(connected: smtplib.SMTP, hive: Cast) -> None:
    # It tries PLAIN, then LOGIN: the line must live through the first 535.
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        connected.login("queensmtp", "wrong")
    assert refused.value.smtp_code == 535
