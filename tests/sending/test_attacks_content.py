"""Threats C1 to C12 and Q1 to Q7: hostile contents and repeats, by every door that they fit."""

import base64
import email
import gzip
import io
import json
import tarfile
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from typing import Any

import dkim as dkimpy
import pytest
from django.db import connection
from django.test import Client

from queensmtp import valkey
from queensmtp.tenancy import tenant
from sending import actions
from sending.models import IdempotentRequest, Message
from tests.factories.cast import Cast, make_cast, make_domain
from tests.factories.keys import bearer, make_key
from tests.roles import as_role
from tests.sending.deliveries import records_of
from tests.sending.doors import DOORS, GOOD, TO, by_http, by_smtp, raw, stored
from tests.smtp_sink import SmtpSink

HTTP = ("api", "batch")


@pytest.fixture
def token(cast: Cast) -> str:
    make_domain(cast.hive, "good.example")
    return make_key(cast.hive)[1]


def file(content: Any, **fields: Any) -> dict[str, Any]:
    return {"attachments": [{"filename": "a.bin", "content": content, **fields}]}


# C1, C5
@pytest.mark.parametrize(
    "fields",
    [
        *(file("a*b="), file("aGk"), file("aG k="), file("aGk=="), file("aGk=aGk="), file("é")),
        *(file("data:text/plain;base64,aGk="), file([256]), file([1.5]), file([-1]), file(17)),
        *(file(["a"]), file({"type": "Buffer", "data": "x"}), file(None), file("\ud800")),
        {"attachments": [{"filename": "a", "path": "file:///etc/passwd"}]},
        {"attachments": [{"filename": "a", "path": "http://169.254.169.254/"}]},
        {"attachments": [{"filename": "a", "path": "gopher://x/", "content": "aGk="}]},
        *(file("aGk=", content_type="text/html\r\nX: y"), file("aGk=", content_id="a b>")),
        file("aGk=", filename="a\r\nContent-Type: text/html"),
        {"attachments": [{"filename": "a", "content": ""}] * 10_000},
        *({"attachments": "x"}, {"attachments": {"0": {}}}),
    ],
    ids=str,
)
@pytest.mark.parametrize("door", HTTP)
def test_a_broken_file_is_refused(
    cast: Cast, token: str, door: str, fields: dict[str, Any]
) -> None:
    answer = by_http(door, token, fields)
    assert answer.code in (400, 422), answer.text
    assert stored(cast) == []


# C2
@pytest.mark.parametrize("door", DOORS)
def test_the_limit_of_size_is_the_limit(cast: Cast, token: str, door: str, settings: Any) -> None:
    settings.MESSAGE_MAX_BYTES = 10_000
    codes = []
    for size in (10_000 - 2, 10_000 - 1):
        encoded = base64.b64encode(b"x" * size).decode()
        if door == "smtp":
            part = "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64"
            body = f"--b\r\n\r\nHi\r\n--b\r\n{part}\r\n\r\n{encoded}\r\n--b--"
            mixed = 'Content-Type: multipart/mixed; boundary="b"'
            answer = by_smtp(token, raw(f"From: {GOOD}", mixed, body=body))
        else:
            answer = by_http(door, token, file(encoded))
        codes.append(answer.code)
    assert codes == ([250, 552] if door == "smtp" else [202, 413])


def zipped(name: str, content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def bomb() -> bytes:
    """Ten archives within each other; the innermost holds twenty megabytes of nothing."""
    content = bytes(20_000_000)
    for depth in range(10):
        content = zipped(f"{depth}.zip", content)
    return content


def linked() -> bytes:
    """A tar within a tar, whose member leads out of it."""
    content, member = io.BytesIO(), tarfile.TarInfo("../../x")
    member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(fileobj=content, mode="w") as inner:
        inner.addfile(member)
    packed, member = io.BytesIO(), tarfile.TarInfo("inner.tar")
    member.size = len(content.getvalue())
    with tarfile.open(fileobj=packed, mode="w:gz") as outer:
        outer.addfile(member, io.BytesIO(content.getvalue()))
    return packed.getvalue()


# C4
@pytest.mark.parametrize("make", [bomb, linked])
@pytest.mark.parametrize("door", DOORS)
def test_an_archive_is_carried_and_never_opened(
    cast: Cast,
    token: str,
    sink: SmtpSink,
    monkeypatch: pytest.MonkeyPatch,
    door: str,
    make: Callable[[], bytes],
) -> None:
    content = make()
    monkeypatch.setattr(zipfile.ZipFile, "__init__", never_opened)
    monkeypatch.setattr(tarfile.TarFile, "__init__", never_opened)
    monkeypatch.setattr(gzip.GzipFile, "__init__", never_opened)
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n").decode()
    if door == "smtp":
        part = "Content-Type: application/zip\r\nContent-Disposition: attachment; filename=a.zip"
        part += "\r\nContent-Transfer-Encoding: base64"
        body = f"--b\r\n\r\nHi\r\n--b\r\n{part}\r\n\r\n{encoded}\r\n--b--"
        mixed = 'Content-Type: multipart/mixed; boundary="b"'
        answer = by_smtp(token, raw(f"From: {GOOD}", mixed, body=body))
    else:
        answer = by_http(door, token, file(base64.b64encode(content).decode(), filename="a.zip"))
    assert answer.is_accepted, answer.text
    with as_role("worker"):
        actions.deliver_due()

    arrived = [
        part.get_payload(decode=True)
        for message in sink.messages
        for part in email.message_from_bytes(message.content).walk()
        if part.get_filename() == "a.zip"
    ]
    assert arrived == [content]


def never_opened(*args: Any, **fields: Any) -> None:
    raise AssertionError("the archive was opened")


# C8
@pytest.mark.parametrize(
    "fields",
    [
        {"text": "a\0b"},
        {"html": "\ud800"},
        {"text": "\udc00 half"},
        {"subject": "a\rb"},
        {"subject": "a\ud800"},
        {"text": 17},
        {"text": ["a"]},
        {"subject": {"a": "b"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("door", HTTP)
def test_what_is_no_text_is_refused(
    cast: Cast, token: str, door: str, fields: dict[str, Any]
) -> None:
    assert by_http(door, token, fields).code in (400, 422)
    assert stored(cast) == []


ODD_BODIES = [".", "a\n.\nb\n..\n", "a\rb\r", "x" * 5_000, "Fröm\n\nFrom here\n", "\n\n\n", " "]


@pytest.mark.parametrize("door", DOORS)
def test_odd_bodies_arrive_signed_as_they_left(
    cast: Cast, token: str, sink: SmtpSink, door: str
) -> None:
    for body in ODD_BODIES:
        if door == "smtp":
            lines = body.replace("\r", "\n").replace("\n", "\r\n")
            assert by_smtp(token, raw(f"From: {GOOD}", body=lines)).is_accepted
        else:
            assert by_http(door, token, {"text": body}).is_accepted
    with as_role("worker"):
        actions.deliver_due()

    assert len(sink.messages) == len(ODD_BODIES) * (3 if door == "batch" else 1)
    for message in sink.messages:
        assert max(map(len, message.content.split(b"\r\n"))) <= 998
        assert dkimpy.verify(message.content, dnsfunc=records_of(cast))


# C10
@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[1", b"\xef\xbb\xbf[]", b"[]]", b"nul", b"[NaN]", b"[1e400]", b"[Infinity]"),
        *(b'[{"from":"a","from":"b"}]', b"[" * 100_000, b'{"a":' * 100_000, b'["\\ud800"]'),
        *("[]".encode("utf-16"), b'["\xff"]', b"\x1f\x8b\x08\x00", b"a=b&c=d"),
    ],
    ids=lambda body: repr(body[:20]),
)
@pytest.mark.parametrize("path", ["/v1/emails", "/v1/emails/batch"])
def test_broken_json_is_refused(cast: Cast, token: str, path: str, body: bytes) -> None:
    response = Client().post(path, body, content_type="application/json", headers=bearer(token))
    assert response.status_code in (400, 422), response.content
    assert response.json()["statusCode"] == response.status_code
    assert stored(cast) == []


def test_what_is_labelled_as_a_form_is_read_as_json(cast: Cast, token: str) -> None:
    mail = {"from": GOOD, "to": TO, "subject": "", "text": ""}
    response = Client().post(
        "/v1/emails",
        json.dumps(mail),
        content_type="application/x-www-form-urlencoded",
        headers=bearer(token),
    )
    assert response.status_code == 202


# C12
@pytest.mark.parametrize("door", HTTP)
def test_what_is_no_field_changes_nothing(cast: Cast, token: str, door: str) -> None:
    forged = {
        "id": "01a20033-91d9-76f4-a228-305a4756aa65",
        "account_id": str(cast.wasp.pk),
        "tenant_id": str(cast.wasp.pk),
        "status": "delivered",
        "state": "delivered",
        "last_event": "delivered",
        "environment": "development",
        "created_at": "2000-01-01T00:00:00Z",
        "message_id": "<forged@evil.example>",
        "marketing_only": True,
        "is_admin": True,
    }
    assert by_http(door, token, forged).is_accepted
    with tenant(cast.wasp.pk):
        assert Message.objects.count() == 0
    for message in stored(cast):
        assert str(message.pk) != forged["id"]
        assert message.account_id == cast.hive.pk
        assert message.environment == "production"
        assert message.created_at.year > 2000
        assert "forged" not in message.message_id
    with tenant(cast.hive.pk):
        states = Message.objects.values_list("recipients__state", flat=True)
        assert set(states) == {"queued"}


# --- Repeats -------------------------------------------------------------------------------------


def post(token: str, path: str, body: Any, key: str) -> Any:
    headers = {**bearer(token), "idempotency-key": key}
    return Client().post(path, json.dumps(body), content_type="application/json", headers=headers)


MAIL = {"from": GOOD, "to": TO, "subject": "Hello", "text": "Hi"}
WAYS = [("/v1/emails", MAIL), ("/v1/emails/batch", [MAIL, MAIL])]


# Q1
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("path", "body"), WAYS)
def test_of_many_at_once_one_is_sent_and_all_hear_of_it(path: str, body: Any) -> None:
    cast = make_cast()
    make_domain(cast.hive, "good.example")
    _, token = make_key(cast.hive)
    answers: list[tuple[int, bytes]] = []
    at_once = threading.Barrier(12)

    def send() -> None:
        try:
            at_once.wait()
            response = post(token, path, body, "one")
            answers.append((response.status_code, response.content))
        finally:
            connection.close()

    for _ in range(3):
        threads = [threading.Thread(target=send) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert Counter(answers) == {answers[0]: 36}
    assert answers[0][0] == 202
    assert len(stored(cast)) == (2 if isinstance(body, list) else 1)


# Q2, Q3, Q7
@pytest.mark.parametrize(("path", "body"), WAYS)
def test_whose_a_key_is(cast: Cast, token: str, path: str, body: Any) -> None:
    first = post(token, path, body, "k" * 256)
    other_key = post(make_key(cast.hive)[1], path, body, "k" * 256)
    assert first.json() == other_key.json()

    turned = json.loads(json.dumps(body), object_pairs_hook=lambda pairs: dict(reversed(pairs)))
    assert post(token, path, turned, "k" * 256).json() == first.json()

    make_domain(cast.wasp, "wasp.example")
    theirs = make_key(cast.wasp)[1]
    mail = MAIL | {"from": "a@wasp.example"}
    independent = post(theirs, path, [mail] if isinstance(body, list) else mail, "k" * 256)
    assert independent.status_code == 202

    changed = [MAIL, MAIL | {"text": "Hj"}] if isinstance(body, list) else MAIL | {"text": "Hj"}
    assert post(token, path, changed, "k" * 256).status_code == 409
    for bad in ("", "k" * 257, "k" * 10_000, "a\0b", "🐝"):
        assert post(token, path, body, bad).status_code == 400


# Q4
def test_an_answer_outlives_valkey_and_ends_with_its_time(cast: Cast, token: str) -> None:
    first = post(token, "/v1/emails", MAIL, "one").json()
    valkey.client().flushall()
    assert post(token, "/v1/emails", MAIL, "one").json() == first
    with tenant(cast.hive.pk):
        IdempotentRequest.objects.update(expires_at="2020-01-01T00:00:00Z")
    assert post(token, "/v1/emails", MAIL, "one").json() != first


# Q5
@pytest.mark.parametrize(("path", "body"), WAYS)
def test_a_refusal_does_not_use_the_key_up(cast: Cast, token: str, path: str, body: Any) -> None:
    bad = MAIL | {"to": "nobody"}
    refused = post(token, path, [bad] if isinstance(body, list) else bad, "one")
    assert refused.status_code == 422
    assert post(token, path, body, "one").status_code == 202


@pytest.mark.parametrize(("path", "body"), WAYS)
def test_a_key_that_came_too_often_is_taken_later(cast: Cast, path: str, body: Any) -> None:
    make_domain(cast.hive, "good.example")
    _, token = make_key(cast.hive, rate_requests=1, rate_per_seconds=2)
    assert post(token, path, body, "before").status_code == 202
    refused = post(token, path, body, "one")
    assert refused.status_code == 429
    time.sleep(2.0)
    accepted = post(token, path, body, "one")
    assert accepted.status_code == 202
    assert post(token, path, body, "one").json() == accepted.json()
