import smtplib
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from sending import dkim, smtp_server
from sending.courier import Courier
from sending.local_inbox import InboxMailroom, Maildir
from sending.mailrooms import Limits, Port
from sending.states import State
from sending.transports import LocalInbox
from tests.certificates import Authority
from tests.sending.running import running
from tests.sending.test_dkim import KEYS, MESSAGE, verify


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def maildir(tmp_path: Path) -> Maildir:
    return Maildir(tmp_path / "inbox")


@pytest.fixture
def inbox(maildir: Maildir, authority: Authority) -> Iterator[int]:
    tls = smtp_server.tls_context(*authority.issue("localhost"))
    port = Port("localhost", Limits(100_000), tls=tls)
    with running(port, InboxMailroom(maildir, name="localhost")) as number:
        yield number


def stored(maildir: Maildir) -> list[bytes]:
    return [path.read_bytes() for path in sorted((maildir.folder / "new").iterdir())]


def test_a_message_is_stored_whole_below_its_trace(maildir: Maildir, inbox: int) -> None:
    with smtplib.SMTP("127.0.0.1", inbox, local_hostname="hive.example") as client:
        client.sendmail("bounces@hive.example", ["bob@apiary.example"], MESSAGE)
    (message,) = stored(maildir)
    trace = message.removesuffix(MESSAGE).decode()
    assert trace.startswith("Return-Path: <bounces@hive.example>\r\nDelivered-To: bob@apiary")
    assert "Received: from hive.example ([127.0.0.1])\r\n\tby localhost with ESMTP\r\n" in trace
    assert list((maildir.folder / "tmp").iterdir()) == []


def test_the_courier_reaches_it_under_verified_tls(
    maildir: Maildir, inbox: int, authority: Authority
) -> None:
    courier = Courier(ehlo_name="hive.example")
    transport = LocalInbox(port=inbox, ca_file=str(authority.ca_file))
    (outcome,) = courier.deliver(
        transport.routes("apiary.example"),
        return_path="bounces@hive.example",
        recipients=["bob@apiary.example"],
        message=MESSAGE,
    )
    courier.pool.close()
    assert outcome.state is State.DELIVERED
    assert outcome.proof.tls_version == "TLSv1.3"
    assert b"with ESMTPS (TLSv1.3 " in stored(maildir)[0]


def test_the_signature_still_verifies_where_it_lies(maildir: Maildir, inbox: int) -> None:
    signed = dkim.sign(MESSAGE, keys=KEYS.values(), at=0) + MESSAGE
    with smtplib.SMTP("127.0.0.1", inbox) as client:
        client.sendmail("bounces@hive.example", ["bob@apiary.example"], signed)
    assert verify(stored(maildir)[0], 0)
    assert verify(stored(maildir)[0], 1)


def test_each_recipient_has_a_copy_that_names_nobody_else(maildir: Maildir, inbox: int) -> None:
    with smtplib.SMTP("127.0.0.1", inbox) as client:
        client.sendmail("a@hive.example", ["bob@apiary.example", "eve@apiary.example"], MESSAGE)
    copies = [message.partition(b"From: ")[0] for message in stored(maildir)]
    assert len(copies) == 2
    assert [b"bob@" in copy for copy in copies] == [b"eve@" not in copy for copy in copies]


def test_the_null_sender_is_taken(maildir: Maildir, inbox: int) -> None:
    with smtplib.SMTP("127.0.0.1", inbox) as client:
        client.sendmail("", ["bob@apiary.example"], MESSAGE)
    assert stored(maildir)[0].startswith(b"Return-Path: <>\r\n")


def test_an_international_recipient_is_taken(maildir: Maildir, inbox: int) -> None:
    with smtplib.SMTP("127.0.0.1", inbox) as client:
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        client.sendmail("a@hive.example", ["jörg@apiary.example"], MESSAGE, mail_options=options)
    assert "Delivered-To: jörg@".encode() in stored(maildir)[0]


def test_two_maildirs_in_one_folder_never_write_the_same_file(tmp_path: Path) -> None:
    one, other = Maildir(tmp_path), Maildir(tmp_path)
    for maildir in (one, other) * 50:
        maildir.store(b"x")
    assert len(list((tmp_path / "new").iterdir())) == 100


def test_a_context_without_tls_1_2_cannot_be_made(authority: Authority) -> None:
    context = smtp_server.tls_context(*authority.issue("localhost"))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
