import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from queensmtp.errors import TemporaryFailure
from sending import smtp_dialing
from sending.courier import Courier, Outcome
from sending.deadlines import Deadline
from sending.routes import Login, Route, Tls
from sending.states import State
from tests.certificates import Authority
from tests.smtp_sink import Script, SmtpSink, closed_port

MESSAGE = b"From: a@hive.example\r\nSubject: dots\r\n\r\n.\r\n..two\r\nend\r\n"
# More than the sockets between us hold, so that it cannot all be on its way at once.
LARGE = b"From: a@hive.example\r\n\r\n" + (b"x" * 70 + b"\r\n") * 120_000
BOB = "bob@apiary.example"
EVE = "eve@apiary.example"


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def certificate(authority: Authority) -> tuple[str, str]:
    return authority.issue("localhost")


@pytest.fixture
def courier() -> Iterator[Courier]:
    courier = Courier(ehlo_name="mail.hive.example", delivery_seconds=5)
    yield courier
    courier.pool.close()


def route(
    port: int, *, tls: Tls = Tls.OPPORTUNISTIC, ca_file: Path | str = "", is_final: bool = True
) -> Route:
    return Route("localhost", port, tls, is_final, addresses=("127.0.0.1",), ca_file=str(ca_file))


def deliver(
    courier: Courier, *routes: Route, to: tuple[str, ...] = (BOB,), message: bytes = MESSAGE
) -> list[Outcome]:
    return courier.deliver(
        routes, return_path="bounces@hive.example", recipients=to, message=message
    )


def states(outcomes: list[Outcome]) -> list[State]:
    return [outcome.state for outcome in outcomes]


# What is delivered


@pytest.mark.parametrize("offers", [("PIPELINING", "SIZE 10000000", "8BITMIME"), ("HELP",)])
def test_a_message_arrives_as_it_was(courier: Courier, offers: tuple[str, ...]) -> None:
    with SmtpSink(Script(offers=offers)) as sink:
        (outcome,) = deliver(courier, route(sink.port))
    (received,) = sink.messages
    assert received.content == MESSAGE
    assert (received.sender, received.recipients) == ("bounces@hive.example", (BOB,))
    assert outcome.state is State.DELIVERED
    assert (outcome.code, outcome.enhanced, outcome.reply) == (250, "2.0.0", "taken")
    assert outcome.proof.mx_host == "localhost"
    assert outcome.proof.connect_seconds > 0


def test_a_relay_has_only_been_handed_the_message(courier: Courier) -> None:
    with SmtpSink() as sink:
        assert states(deliver(courier, route(sink.port, is_final=False))) == [State.SENT]


def test_the_connection_is_kept_for_the_next_message(courier: Courier) -> None:
    with SmtpSink() as sink:
        for _ in range(5):
            (outcome,) = deliver(courier, route(sink.port))
        assert sink.connections == 1
        assert outcome.proof.connect_seconds == 0
        assert len(sink.messages) == 5


def test_threads_share_the_pool_and_each_message_arrives_once(courier: Courier) -> None:
    with SmtpSink() as sink:
        threads = [
            threading.Thread(
                target=lambda n=n: [
                    deliver(courier, route(sink.port), to=(f"{n}-{i}@apiary.example",))
                    for i in range(25)
                ]
            )
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    arrived = [received.recipients[0] for received in sink.messages]
    assert sorted(arrived) == sorted(
        {f"{n}-{i}@apiary.example" for n in range(4) for i in range(25)}
    )
    assert sink.connections <= 4


def test_a_thousand_recipients_each_have_their_outcome(courier: Courier) -> None:
    people = tuple(f"p{n}@apiary.example" for n in range(1_000))
    script = Script(recipients={"p7@apiary.example": "550 5.1.1 nobody"})
    with SmtpSink(script) as sink:
        outcomes = deliver(courier, route(sink.port), to=people)
    assert [one.recipient for one in outcomes if one.state is State.BOUNCED] == [
        "p7@apiary.example"
    ]
    assert sink.messages[0].recipients == tuple(p for p in people if p != "p7@apiary.example")


# TLS


def test_verified_tls_is_proved_on_the_outcome(
    courier: Courier, authority: Authority, certificate: tuple[str, str]
) -> None:
    with SmtpSink(certificate=certificate) as sink:
        (outcome,) = deliver(courier, route(sink.port, tls=Tls.VERIFIED, ca_file=authority.ca_file))
    assert outcome.proof.tls_version == sink.messages[0].tls_version == "TLSv1.3"
    assert outcome.proof.tls_cipher.startswith("TLS_")
    assert sink.commands[:3] == ["EHLO mail.hive.example", "STARTTLS", "EHLO mail.hive.example"]


def test_verified_tls_refuses_a_server_without_it(courier: Courier, authority: Authority) -> None:
    with SmtpSink() as sink, pytest.raises(TemporaryFailure, match="STARTTLS"):
        deliver(courier, route(sink.port, tls=Tls.VERIFIED, ca_file=authority.ca_file))
    assert not sink.messages


@pytest.mark.parametrize("fault", ["expired", "other name", "unknown authority"])
def test_verified_tls_refuses_a_certificate_that_proves_nothing(
    courier: Courier, authority: Authority, tmp_path: Path, fault: str
) -> None:
    bad = {
        "expired": lambda: authority.issue("localhost", expired=True),
        "other name": lambda: authority.issue("mail.evil.example"),
        "unknown authority": lambda: Authority(tmp_path).issue("localhost"),
    }[fault]()
    with SmtpSink(certificate=bad) as sink, pytest.raises(TemporaryFailure, match="certificate"):
        deliver(courier, route(sink.port, tls=Tls.VERIFIED, ca_file=authority.ca_file))
    assert not sink.messages


def test_opportunistic_tls_takes_any_certificate(courier: Courier, tmp_path: Path) -> None:
    with SmtpSink(certificate=Authority(tmp_path).issue("elsewhere.example")) as sink:
        (outcome,) = deliver(courier, route(sink.port))
    assert outcome.proof.tls_version == "TLSv1.3"


def test_opportunistic_tls_goes_on_in_plaintext_when_the_handshake_fails(
    courier: Courier, certificate: tuple[str, str]
) -> None:
    with SmtpSink(Script(starttls="454 4.7.0 no TLS today"), certificate=certificate) as sink:
        (outcome,) = deliver(courier, route(sink.port))
    assert (outcome.state, outcome.proof.tls_version) == (State.DELIVERED, "")


def test_plaintext_after_starttls_is_not_believed(
    courier: Courier, authority: Authority, certificate: tuple[str, str]
) -> None:
    script = Script(starttls="220 go ahead\n250 evil")
    with (
        SmtpSink(script, certificate=certificate) as sink,
        pytest.raises(TemporaryFailure, match="plaintext"),
    ):
        deliver(courier, route(sink.port, tls=Tls.VERIFIED, ca_file=authority.ca_file))


def test_a_password_is_sent_under_tls_only(
    courier: Courier, authority: Authority, certificate: tuple[str, str]
) -> None:
    login = Login("relay", "hunter2")
    assert "hunter2" not in repr(login)
    with SmtpSink() as sink:
        bare = Route("localhost", sink.port, Tls.OPPORTUNISTIC, False, login=login)
        with pytest.raises(TemporaryFailure):
            deliver(courier, bare)
        assert not any(command.startswith("AUTH") for command in sink.commands)
    with SmtpSink(certificate=certificate) as sink:
        ca_file = str(authority.ca_file)
        deliver(courier, Route("localhost", sink.port, Tls.VERIFIED, False, (), ca_file, login))
        assert "AUTH PLAIN AHJlbGF5AGh1bnRlcjI=" in sink.commands


# Refusals


@pytest.mark.parametrize("offers", [("PIPELINING",), ("HELP",)])
def test_each_recipient_has_its_own_answer(courier: Courier, offers: tuple[str, ...]) -> None:
    script = Script(
        offers=offers,
        recipients={EVE: "550 5.1.1 no such user", "slow@apiary.example": "451 4.7.1 greylisted"},
    )
    with SmtpSink(script) as sink:
        outcomes = deliver(courier, route(sink.port), to=(BOB, EVE, "slow@apiary.example"))
    assert states(outcomes) == [State.DELIVERED, State.BOUNCED, State.DEFERRED]
    assert [one.reply for one in outcomes] == ["taken", "no such user", "greylisted"]
    assert sink.messages[0].recipients == (BOB,)


@pytest.mark.parametrize("offers", [("PIPELINING",), ("HELP",)])
@pytest.mark.parametrize(
    ("script", "state"),
    [
        (Script(mail="550 5.7.1 not you"), State.BOUNCED),
        (Script(mail="451 4.3.0 not now"), State.DEFERRED),
        (Script(recipients={BOB: "550 5.1.1 nobody"}), State.BOUNCED),
        (Script(recipients={BOB: "350 what"}), State.DEFERRED),
        (Script(data="554 5.7.1 no content"), State.BOUNCED),
        (Script(data="451 4.3.0 no content now"), State.DEFERRED),
        (Script(final="552 5.2.3 too big"), State.BOUNCED),
        (Script(final="451 4.3.0 disk full"), State.DEFERRED),
        (Script(final="421 4.3.2 shutting down"), State.DEFERRED),
    ],
)
def test_a_refusal_at_any_stage_is_the_outcome_and_the_next_message_goes_on(
    courier: Courier, script: Script, state: State, offers: tuple[str, ...]
) -> None:
    with SmtpSink(replace(script, offers=offers)) as sink:
        assert states(deliver(courier, route(sink.port))) == [state]
        assert sink.messages == []
        sink.script = Script(offers=offers)
        assert states(deliver(courier, route(sink.port))) == [State.DELIVERED]
        assert len(sink.messages) == 1


def test_a_message_over_the_offered_size_is_not_sent(courier: Courier) -> None:
    with SmtpSink(Script(offers=("SIZE 20",))) as sink:
        (outcome,) = deliver(courier, route(sink.port))
    assert (outcome.state, outcome.code, outcome.enhanced) == (State.BOUNCED, 552, "5.3.4")
    assert not any(command.startswith("MAIL") for command in sink.commands)


def test_an_international_address_needs_a_server_that_takes_it(courier: Courier) -> None:
    for offers, state in (((), State.BOUNCED), (("SMTPUTF8",), State.DELIVERED)):
        with SmtpSink(Script(offers=("HELP", *offers))) as sink:
            (outcome,) = courier.deliver(
                [route(sink.port)],
                return_path="b@hive.example",
                recipients=["jörg@apiary.example"],
                message=MESSAGE,
                smtputf8=True,
            )
        assert outcome.state is state
    assert "MAIL FROM:<b@hive.example> SMTPUTF8" in sink.commands


def test_a_line_break_in_an_address_is_never_sent(courier: Courier) -> None:
    with SmtpSink() as sink, pytest.raises(ValueError, match="one line"):
        deliver(courier, route(sink.port), to=("bob@apiary.example>\r\nRCPT TO:<eve@x.example",))
    assert not sink.messages


# Bad servers


@pytest.mark.parametrize("stage", ["greeting", "ehlo", "mail", "rcpt", "data", "content"])
def test_a_server_that_hangs_up_before_the_dot_leaves_the_message_for_later(
    courier: Courier, stage: str
) -> None:
    with SmtpSink(Script(hang_up_at=stage)) as sink, pytest.raises(TemporaryFailure):
        deliver(courier, route(sink.port), message=LARGE)
    assert sink.connections == 1


@pytest.mark.parametrize(
    "script",
    [
        Script(hang_up_at="final"),
        Script(hang_up_at="final-unseen"),
        Script(final="999 banana"),
        Script(final="354 more"),
        Script(final="2" * 5_000),
    ],
)
def test_what_goes_wrong_after_the_dot_is_in_doubt(courier: Courier, script: Script) -> None:
    with SmtpSink(replace(script, recipients={EVE: "550 5.1.1 nobody"})) as sink:
        outcomes = deliver(courier, route(sink.port), to=(BOB, EVE))
        assert states(outcomes) == [State.IN_DOUBT, State.BOUNCED]
        assert outcomes[0].reply
        assert sink.connections == 1


@pytest.mark.parametrize(
    "script",
    [
        Script(greeting="000 hello"),
        Script(greeting="999 hello"),
        Script(greeting="554 go away"),
        Script(greeting="421 busy"),
        Script(greeting="220-" + "x" * 100_000),
        Script(greeting="\n".join(["220-more"] * 1_000)),
        Script(ehlo="SSH-2.0-OpenSSH"),
        Script(mail="HTTP/1.1 400 Bad Request"),
        Script(data="250 sure"),
    ],
)
def test_a_server_that_speaks_nonsense_is_left_for_later(courier: Courier, script: Script) -> None:
    with SmtpSink(script) as sink, pytest.raises(TemporaryFailure):
        deliver(courier, route(sink.port))
    assert not sink.messages


def test_a_tarpit_is_left_when_the_time_is_up() -> None:
    courier = Courier(ehlo_name="mail.hive.example", delivery_seconds=0.5)
    with SmtpSink(Script(seconds_per_byte=0.05)) as sink, pytest.raises(TemporaryFailure):
        deliver(courier, route(sink.port))


def test_a_server_without_ehlo_is_greeted_with_helo(courier: Courier) -> None:
    with SmtpSink() as sink:
        sink.script.ehlo = "502 5.5.1 what is that"
        with pytest.raises(TemporaryFailure, match="EHLO was answered 502"):
            deliver(courier, route(sink.port))
    assert sink.commands == ["EHLO mail.hive.example", "HELO mail.hive.example"]


def test_the_next_exchanger_is_tried_when_one_is_down(courier: Courier) -> None:
    with closed_port() as dead, SmtpSink(Script(greeting="421 busy")) as busy, SmtpSink() as sink:
        outcomes = deliver(courier, route(dead), route(busy.port), route(sink.port))
    assert states(outcomes) == [State.DELIVERED]


def test_nobody_at_home_is_a_temporary_failure(courier: Courier) -> None:
    with closed_port() as dead, pytest.raises(TemporaryFailure, match="cannot be reached"):
        deliver(courier, route(dead))


# Kept connections that broke


def test_a_kept_connection_that_the_server_closed_is_replaced(courier: Courier) -> None:
    with SmtpSink(Script(hang_up_after_messages=1)) as sink:
        for _ in range(3):
            assert states(deliver(courier, route(sink.port))) == [State.DELIVERED]
        assert (sink.connections, len(sink.messages)) == (3, 3)


@pytest.mark.parametrize("stage", ["mail", "content"])
def test_a_kept_connection_that_breaks_before_the_dot_is_replaced_once(
    courier: Courier, stage: str
) -> None:
    with SmtpSink() as sink:
        deliver(courier, route(sink.port))
        sink.script.hang_up_at = stage
        with pytest.raises(TemporaryFailure):
            deliver(courier, route(sink.port), message=LARGE)
        assert sink.connections == 2
        assert len(sink.messages) == 1


def test_a_kept_connection_that_breaks_after_the_dot_is_not_retried(courier: Courier) -> None:
    with SmtpSink() as sink:
        deliver(courier, route(sink.port))
        sink.script.hang_up_at = "final"
        assert states(deliver(courier, route(sink.port))) == [State.IN_DOUBT]
        assert (sink.connections, len(sink.messages)) == (1, 2)


def test_a_kept_connection_that_says_421_is_replaced(courier: Courier) -> None:
    with SmtpSink() as sink:
        deliver(courier, route(sink.port))
        sink.script.mail = "421 4.4.2 idle for too long"
        with pytest.raises(TemporaryFailure, match="hung up"):
            deliver(courier, route(sink.port))
        assert sink.connections == 2


def test_a_connection_that_left_a_doubt_is_not_used_again(courier: Courier) -> None:
    with SmtpSink(Script(final="999 banana")) as sink:
        assert states(deliver(courier, route(sink.port))) == [State.IN_DOUBT]
        sink.script.final = "250 2.0.0 taken"
        assert states(deliver(courier, route(sink.port))) == [State.DELIVERED]
        assert sink.connections == 2
        assert not any(command == "RSET" for command in sink.commands)


def test_an_old_connection_is_not_used_again(
    courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SmtpSink() as sink:
        deliver(courier, route(sink.port))
        monkeypatch.setattr("sending.courier.IDLE_SECONDS", 0)
        deliver(courier, route(sink.port))
        assert sink.connections == 2


def test_connections_that_nobody_comes_for_are_closed(
    courier: Courier, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SmtpSink() as one, SmtpSink() as other:
        deliver(courier, route(one.port))
        monkeypatch.setattr("sending.courier.IDLE_SECONDS", 0)
        deliver(courier, route(other.port))
        deliver(courier, route(other.port))
        assert one.commands[-1] == "QUIT"


def test_small_packets_are_not_held_back(courier: Courier) -> None:
    with SmtpSink() as sink:
        connection = smtp_dialing.connect(
            route(sink.port), ehlo_name="x", deadline=Deadline.after(5)
        )
        assert connection.socket.getsockopt(6, 1)
        connection.close()
