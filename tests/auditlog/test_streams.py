"""Streams to other people's SIEMs: over HTTPS and syslog, in leaf order, at least once."""

import json
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from auditlog import siem, streaming
from auditlog.models import Entry, Leaf
from auditlog.streamed import Stream
from queensmtp import outbound
from queensmtp.errors import ValidationFailed
from queensmtp.tenancy import tenant
from tests.certificates import Authority
from tests.console import get, post, sign_in, text
from tests.factories.auditlog import HIVE, alice, record_many, seal
from tests.factories.cast import Cast
from tests.http_receiver import HttpReceiver, answer
from tests.roles import as_role

pytestmark = pytest.mark.django_db


class SyslogSink:
    """Takes TLS connections and keeps what comes until the sender closes."""

    def __init__(self, certificate: tuple[str, str]) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*certificate)
        self.data = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._context = context
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with (
                    suppress(OSError),
                    self._context.wrap_socket(connection, server_side=True) as secure,
                ):
                    while piece := secure.recv(65536):
                        self.data += piece

    def messages(self) -> list[bytes]:
        """Undo the framing of RFC 5425: a length, a space, so many bytes."""
        found, rest = [], self.data
        while rest:
            length, _, rest = rest.partition(b" ")
            found.append(rest[: int(length)])
            rest = rest[int(length) :]
        return found

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(autouse=True)
def _outbound(settings: Any, tmp_path: Path) -> Iterator[Authority]:
    authority = Authority(tmp_path)
    settings.OUTBOUND_ALLOW_LOOPBACK = True
    settings.OUTBOUND_CA_FILE = str(authority.ca_file)
    outbound.close()
    yield authority
    outbound.close()


@pytest.fixture
def authority(_outbound: Authority) -> Authority:
    return _outbound


def begin(address: str, **chosen: Any) -> Stream:
    chosen = {"kind": "https", "names": "ecs", "from_now_on": False, **chosen}
    with tenant(HIVE):
        return streaming.create(by=alice(), chosen=streaming.Chosen(address=address, **chosen))


def push() -> int:
    seal()
    with as_role("worker"):
        return streaming.push_due()


def again(stream: Stream) -> None:
    with as_role("worker"):
        Stream.objects.filter(pk=stream.pk).update(due_at=timezone.now())


def sent(bodies: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for body in bodies for line in body.splitlines()]


def test_entries_arrive_in_leaf_order_and_the_cursor_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streaming, "BATCH", 2)
    ids = record_many(5)
    with HttpReceiver() as receiver:
        stream = begin(receiver.url, authorization="Bearer s3cret-of-theirs")
        assert push() == 3
        events = sent([one.body for one in receiver.requests])
        assert [one["event"]["id"] for one in events][:5] == [str(one) for one in ids]
        assert [one["event"]["sequence"] for one in events] == list(range(6))
        assert {one.headers["authorization"] for one in receiver.requests} == {
            "Bearer s3cret-of-theirs"
        }
        again(stream)
        assert push() == 0
        more = record_many(1)
        again(stream)
        assert push() == 1
        assert sent([receiver.requests[-1].body])[0]["event"]["id"] == str(more[0])
    with tenant(HIVE):
        assert Stream.objects.get().next_leaf == Leaf.objects.count() == 7


def test_what_was_refused_is_sent_again_after_a_rest() -> None:
    record_many(2)
    with HttpReceiver(answer(503), answer(200)) as receiver:
        stream = begin(receiver.url)
        assert push() == 0
        with tenant(HIVE):
            stream.refresh_from_db()
        assert (stream.next_leaf, stream.failure_count) == (0, 1)
        assert "503" in stream.problem
        assert stream.due_at > timezone.now() + timedelta(seconds=2)
        assert push() == 0, "it rests"
        again(stream)
        assert push() == 1
        first, second = (one.body for one in receiver.requests)
        assert first == second
    with tenant(HIVE):
        stream.refresh_from_db()
    assert (stream.next_leaf, stream.failure_count, stream.problem) == (3, 0, "")


def test_two_workers_one_winner() -> None:
    record_many(1)
    begin("https://siem.example/in")
    seal()
    with as_role("worker"):
        now = timezone.now()
        mine = streaming._claim(now=now, tried=set())
        assert mine is not None
        assert streaming._claim(now=now, tried=set()) is None
        later = streaming._claim(now=now + timedelta(minutes=3), tried=set())
        assert later is not None
        assert not streaming._report(mine, next_leaf=99)
        assert streaming._report(later, next_leaf=1)


def test_syslog_goes_over_tls_in_its_framing(authority: Authority) -> None:
    ids = record_many(2)
    sink = SyslogSink(authority.issue("localhost"))
    begin(f"localhost:{sink.port}", kind="syslog", names="ocsf")
    try:
        assert push() == 1
    finally:
        sink.close()
    messages = sink.messages()
    assert len(messages) == 3
    head, _, body = messages[0].partition(b"\xef\xbb\xbf")
    assert re.fullmatch(
        rb"<110>1 \d{4}-\d\d-\d\dT[\d:.]+Z localhost QueenSMTP - api_key.created - ", head
    )
    event = json.loads(body)
    assert (event["class_uid"], event["activity_id"], event["type_uid"]) == (6003, 1, 600301)
    assert event["metadata"]["uid"] == str(ids[0])


def test_syslog_to_a_stranger_with_a_false_certificate_sends_nothing(
    authority: Authority,
) -> None:
    record_many(1)
    sink = SyslogSink(authority.issue("other.example"))
    stream = begin(f"localhost:{sink.port}", kind="syslog")
    try:
        assert push() == 0
    finally:
        sink.close()
    assert sink.data == b""
    with tenant(HIVE):
        stream.refresh_from_db()
    assert (stream.next_leaf, "certificate" in stream.problem) == (0, True)


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("https", "http://siem.example/"),
        ("https", "https://10.0.0.1/"),
        ("https", "https://user:password@siem.example/"),
        ("https", "https://siem.example:25/"),
        ("syslog", "10.0.0.1:6514"),
        ("syslog", "siem.example"),
        ("syslog", "siem.example:22"),
        ("syslog", "siem.example:65146514"),
        ("syslog", "[::1]:6514"),
    ],
)
def test_an_address_that_may_not_be_dialled_is_refused(
    settings: Any, kind: str, address: str
) -> None:
    settings.OUTBOUND_ALLOW_LOOPBACK = False
    with pytest.raises(ValidationFailed) as refused:
        begin(address, kind=kind)
    assert [one.field for one in refused.value.errors] == ["address"]


def test_the_secret_is_encrypted_and_never_in_the_log() -> None:
    stream = begin("https://siem.example/in", authorization="Bearer s3cret-of-theirs")
    assert stream.authorization and b"s3cret" not in bytes(stream.authorization)
    with tenant(HIVE):
        entry = Entry.objects.get(event="audit_stream.created")
        assert "s3cret" not in json.dumps(entry.changes)


def test_an_entry_past_its_retention_is_passed_over() -> None:
    from tests.factories.auditlog import leave_waiting

    leave_waiting(3)
    ids = record_many(1)
    with HttpReceiver() as receiver:
        begin(receiver.url)
        assert push() == 1
        events = sent([one.body for one in receiver.requests])
    assert events[0]["event"]["id"] == str(ids[0])
    assert events[0]["event"]["sequence"] == 3


def test_every_verb_has_an_activity() -> None:
    assert siem._activity("api_key.revoked") == 4
    assert siem._activity("email.content_opened") == 2
    assert siem._activity("user.signed_in") == 99


def test_streams_in_the_console(cast: Cast) -> None:
    page = "/console/audit-log/streams"
    client = sign_in(cast.alice.user)
    wrong = post(client, page, {"kind": "https", "names": "ecs", "address": "http://x.example"})
    assert (wrong.status_code, "must begin with https" in text(wrong)) == (422, True)
    good = {"kind": "https", "names": "ecs", "address": "https://siem.example/in"}
    assert post(client, page, good).status_code == 302
    with tenant(cast.hive.pk):
        stream = Stream.objects.get()
    assert "https://siem.example/in" in text(get(client, page))
    assert post(client, f"{page}/{stream.pk}/switch").status_code == 302
    assert "stopped" in text(get(client, page))
    assert post(client, f"{page}/{stream.pk}/remove").status_code == 302
    with tenant(cast.hive.pk):
        assert not Stream.objects.exists()
        events = Entry.objects.filter(event__startswith="audit_stream.").order_by("id")
        assert [one.event for one in events] == [
            "audit_stream.created",
            "audit_stream.switched",
            "audit_stream.removed",
        ]


def test_charlie_gets_404(cast: Cast) -> None:
    stream = begin("https://siem.example/in")
    charlie: Client = sign_in(cast.charlie.user)
    for verb in ("switch", "remove"):
        path = f"/console/audit-log/streams/{stream.pk}/{verb}"
        assert post(charlie, path).status_code == 404
