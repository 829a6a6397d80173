"""What the client does with names, certificates and receivers, each played by a real server."""

import asyncio
import os
import resource
import ssl
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from ipaddress import ip_network

import pytest
from pytest_django.fixtures import Settings

from queensmtp import outbound, outbound_client
from queensmtp.errors import DeliveryFailure, PermanentFailure
from queensmtp.outbound import Client, Policy, Request, Response
from tests import http_receiver
from tests.certificates import Authority
from tests.http_receiver import HttpReceiver, Script, answer
from tests.outbound.dns_server import Answer, ScriptedZone

LOOPBACK = Policy(allow_loopback=True)
Outcome = Response | str


def exchange(*requests: Request, policy: Policy = LOOPBACK) -> list[Outcome]:
    """One client, the requests one after the other; a failure is its reason."""

    async def run() -> list[Outcome]:
        client = Client(policy)
        try:
            return [await outcome_of(client, request) for request in requests]
        finally:
            await client.close()

    return asyncio.run(run())


async def outcome_of(client: Client, request: Request) -> Outcome:
    try:
        return await client.send(request)
    except DeliveryFailure as failure:
        return failure.reason


def one(url: str, *, policy: Policy = LOOPBACK, timeout: float = 15.0) -> Outcome:
    [outcome] = exchange(Request(url=url, body=b"{}", timeout=timeout), policy=policy)
    return outcome


def status_of(outcome: Outcome) -> int:
    assert isinstance(outcome, Response), outcome
    return outcome.status


# A sound exchange


def test_the_receiver_gets_exactly_what_was_sent() -> None:
    with HttpReceiver(answer(202, b"thanks", {"X-Id": "7"})) as receiver:
        request = Request(
            url=receiver.url + "?a=%2F",
            body=b'{"a":"\xc3\xbc"}',
            headers={"Content-Type": "application/json", "webhook-id": "w1"},
        )
        [response] = exchange(request)

    assert isinstance(response, Response)
    assert (response.status, response.body, response.headers["x-id"]) == (202, b"thanks", "7")
    assert response.address == "127.0.0.1"
    assert 0 < response.elapsed_seconds < 5
    [received] = receiver.requests
    assert (received.method, received.path) == ("POST", "/hook?a=%2F")
    assert received.body == b'{"a":"\xc3\xbc"}'
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == "w1"
    assert received.headers["accept-encoding"] == "identity"
    assert "cookie" not in received.headers


def test_any_status_is_an_answer() -> None:
    for status in (200, 204, 301, 400, 410, 429, 500, 503):
        with HttpReceiver(answer(status)) as receiver:
            assert status_of(one(receiver.url)) == status


def test_connections_are_kept_alive() -> None:
    with HttpReceiver() as receiver:
        exchange(*[Request(url=receiver.url)] * 5)

    assert len(receiver.requests) == 5
    assert receiver.connection_count == 1


def test_credentials_travel_as_basic_authorization_only() -> None:
    with HttpReceiver() as receiver:
        one(receiver.url.replace("://", "://us%40er:secret@"))

    [received] = receiver.requests
    assert received.headers["authorization"] == "Basic dXNAZXI6c2VjcmV0"
    assert "secret" not in received.path + received.headers["host"]


def test_no_redirect_is_followed(zone: ScriptedZone) -> None:
    with HttpReceiver() as internal:
        for status in (301, 302, 303, 307, 308):
            with HttpReceiver(answer(status, headers={"Location": internal.url})) as receiver:
                assert status_of(one(receiver.url)) == status

    assert internal.requests == []


def test_cookies_and_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with HttpReceiver(answer(headers={"Set-Cookie": "a=b"})) as receiver, HttpReceiver() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        exchange(*[Request(url=receiver.url)] * 2)

    assert proxy.requests == []
    assert "cookie" not in receiver.requests[1].headers


def test_header_values_cannot_smuggle_a_line() -> None:
    with HttpReceiver() as receiver, pytest.raises(ValueError, match="header injection"):
        exchange(Request(url=receiver.url, headers={"webhook-id": "a\r\nHost: internal"}))

    assert receiver.requests == []


# Names (W3, W4)


def named(nameserver: tuple[str, int], port: int, *, ca: str = "", loopback: bool) -> Policy:
    return Policy(
        allow_loopback=loopback,
        ports=frozenset({port}),
        ca_file=ca,
        nameservers=(nameserver,),
    )


def test_the_checked_address_is_dialled_and_the_name_kept_in_sni_and_host(
    authority: Authority, zone: ScriptedZone, nameserver: tuple[str, int]
) -> None:
    zone.names["hook.example"] = [["127.0.0.1"]]
    with HttpReceiver(certificate=authority.issue("hook.example")) as receiver:
        policy = named(nameserver, receiver.port, ca=str(authority.ca_file), loopback=True)
        outcome = one(f"https://hook.example:{receiver.port}/", policy=policy)

    assert status_of(outcome) == 200
    [received] = receiver.requests
    assert received.server_name == "hook.example"
    assert received.headers["host"] == f"hook.example:{receiver.port}"


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (["127.0.0.1"], "blocked_address"),
        (["::1"], "blocked_address"),
        (["10.0.0.1"], "blocked_address"),
        (["0.0.0.0"], "blocked_address"),
        (["::ffff:127.0.0.1"], "blocked_address"),
        (["64:ff9b::7f00:1"], "blocked_address"),
        (["8.8.8.8", "127.0.0.1"], "blocked_address"),
        (["127.0.0.1", "8.8.8.8"], "blocked_address"),
        (["8.8.8.8", "::1"], "blocked_address"),
        (["8.8.8.8"] + [f"9.1.{n // 256}.{n % 256}" for n in range(998)] + ["10.0.0.1"], None),
        ("CNAME internal.example", "blocked_address"),
        ("NXDOMAIN", "dns"),
        ("SERVFAIL", "dns"),
        ([], "dns"),
    ],
)
def test_a_name_with_any_bad_answer_is_not_dialled(
    zone: ScriptedZone, nameserver: tuple[str, int], first: Answer, expected: str | None
) -> None:
    zone.names["internal.example"] = [["127.0.0.1"]]
    zone.names["hook.example"] = [first]
    with HttpReceiver() as receiver:
        policy = named(nameserver, receiver.port, loopback=False)
        outcome = one(f"https://hook.example:{receiver.port}/", policy=policy)

    assert outcome == (expected or "blocked_address")
    assert receiver.connection_count == 0


def test_a_nameserver_that_hangs_costs_no_more_than_the_time_limit(
    zone: ScriptedZone, nameserver: tuple[str, int]
) -> None:
    zone.names["hook.example"] = ["HANG"]
    started = time.monotonic()

    outcome = one(
        "https://hook.example/", policy=named(nameserver, 443, loopback=False), timeout=1.0
    )

    assert outcome == "timeout"
    assert time.monotonic() - started < 4.5


def test_a_name_that_answers_otherwise_the_second_time_gains_nothing(
    authority: Authority, zone: ScriptedZone, nameserver: tuple[str, int]
) -> None:
    """Rebinding: ::1 is forbidden here, 127.0.0.1 is allowed, the name alternates, TTL is 0."""
    turns = 200
    zone.names["hook.example"] = [["127.0.0.1"], ["::1"]] * turns
    certificate = authority.issue("hook.example")
    closing = answer(headers={"Connection": "close"})
    with (
        HttpReceiver(closing, certificate=certificate) as allowed,
        HttpReceiver(certificate=certificate, address="::1", port=allowed.port) as forbidden,
    ):
        policy = named(nameserver, allowed.port, ca=str(authority.ca_file), loopback=True)
        url = f"https://hook.example:{allowed.port}/"
        outcomes = exchange(*[Request(url=url)] * turns, policy=policy)

    assert forbidden.connection_count == 0
    assert [outcome == "blocked_address" for outcome in outcomes] == [False, True] * (turns // 2)
    assert allowed.connection_count == turns // 2


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (["127.0.0.1"], 200),
        (["127.0.0.3"], "blocked_address"),
        (["127.0.0.1", "127.0.0.3"], "blocked_address"),
    ],
)
def test_a_range_that_the_operator_named_is_reached_and_nothing_beside_it(
    authority: Authority,
    zone: ScriptedZone,
    nameserver: tuple[str, int],
    answers: list[str],
    expected: int | str,
) -> None:
    zone.names["hook.example"] = [answers]
    certificate = authority.issue("hook.example")
    with HttpReceiver(certificate=certificate) as receiver:
        policy = replace(
            named(nameserver, receiver.port, ca=str(authority.ca_file), loopback=False),
            private_ranges=(ip_network("127.0.0.1/32"),),
        )
        outcome = one(f"https://hook.example:{receiver.port}/", policy=policy)

    assert (outcome.status if isinstance(outcome, Response) else outcome) == expected


def test_a_literal_of_a_named_range_passes_the_url_check() -> None:
    policy = Policy(private_ranges=(ip_network("10.20.30.0/28"),))
    assert outbound.check_url("https://10.20.30.4/", policy).host == "10.20.30.4"
    with pytest.raises(PermanentFailure):
        outbound.check_url("https://10.20.30.16/", policy)


def test_the_last_gate_stops_an_address_that_no_resolver_saw(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Were the URL check ever to miss a literal, the socket would still not be opened."""
    with HttpReceiver() as receiver:
        destination = outbound.check_url(receiver.url, LOOPBACK)
        monkeypatch.setattr(outbound_client, "check_url", lambda *_: destination)
        assert one(receiver.url, policy=Policy()) == "blocked_address"

    assert receiver.connection_count == 0


def test_a_url_that_may_not_be_dialled_fails_for_good() -> None:
    with pytest.raises(PermanentFailure):
        asyncio.run(_send_once("https://10.0.0.1/"))


async def _send_once(url: str) -> None:
    client = Client(Policy())
    try:
        await client.send(Request(url=url))
    finally:
        await client.close()


# Receivers (W6)


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (http_receiver.silence(), "timeout"),
        (http_receiver.slow_body, "timeout"),
        (http_receiver.slow_headers, "timeout"),
        (http_receiver.endless_continues, "timeout"),
        (http_receiver.endless_headers, "protocol"),
        (http_receiver.endless_header_line, "protocol"),
        (http_receiver.reset, "disconnected"),
        (http_receiver.raw(b""), "disconnected"),
        (http_receiver.raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "protocol"),
        (http_receiver.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), "disconnected"),
        (http_receiver.raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), "protocol"),
        (
            http_receiver.raw(
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok"
            ),
            "protocol",
        ),
        (
            http_receiver.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            "protocol",
        ),
    ],
)
def test_a_hostile_receiver_is_cut_off(script: Script, expected: str) -> None:
    started = time.monotonic()
    with HttpReceiver(script) as receiver:
        timeout = 1.0 if expected == "timeout" else 15.0
        assert one(receiver.url, timeout=timeout) == expected
    assert time.monotonic() - started < 10


def test_ten_gigabytes_of_body_are_cut_at_the_limit() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with HttpReceiver(http_receiver.endless_body) as receiver:
        outcome = one(receiver.url)

    assert isinstance(outcome, Response)
    assert outcome.body == b"x" * LOOPBACK.reply_bytes
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_a_compressed_answer_stays_compressed() -> None:
    with HttpReceiver(http_receiver.gzip_bomb) as receiver:
        outcome = one(receiver.url)

    assert isinstance(outcome, Response)
    assert outcome.body.startswith(b"\x1f\x8b")
    assert len(outcome.body) <= LOOPBACK.reply_bytes


def test_a_slow_receiver_does_not_delay_another() -> None:
    async def run(urls: Sequence[str]) -> list[tuple[Outcome, float]]:
        client = Client(LOOPBACK)
        started = time.monotonic()

        async def timed(url: str) -> tuple[Outcome, float]:
            outcome = await outcome_of(client, Request(url=url, timeout=4.0))
            return outcome, time.monotonic() - started

        try:
            return await asyncio.gather(*map(timed, urls))
        finally:
            await client.close()

    with HttpReceiver(http_receiver.slow_body) as slow, HttpReceiver() as healthy:
        outcomes = asyncio.run(run([slow.url] * 20 + [healthy.url]))

    assert status_of(outcomes[-1][0]) == 200
    assert outcomes[-1][1] < 3.5
    assert {outcome for outcome, _ in outcomes[:-1]} == {"timeout"}


def test_a_closed_port_is_a_failed_connection() -> None:
    with HttpReceiver() as receiver:
        url = receiver.url
    assert one(url) == "connect"


# TLS


def test_a_certificate_of_the_operators_authority_is_accepted(authority: Authority) -> None:
    with HttpReceiver(certificate=authority.issue("127.0.0.1", "localhost")) as receiver:
        policy = Policy(allow_loopback=True, ca_file=str(authority.ca_file))
        assert status_of(one(receiver.url, policy=policy)) == 200
        by_name = receiver.url.replace("127.0.0.1", "localhost")
        assert status_of(one(by_name, policy=policy)) == 200


@pytest.mark.parametrize("fault", ["expired", "wrong name", "unknown authority"])
def test_an_unsound_certificate_is_refused(authority: Authority, fault: str) -> None:
    name = "other.example" if fault == "wrong name" else "127.0.0.1"
    certificate = authority.issue(name, expired=fault == "expired")
    ca = "" if fault == "unknown authority" else str(authority.ca_file)
    with HttpReceiver(certificate=certificate) as receiver:
        assert one(receiver.url, policy=Policy(allow_loopback=True, ca_file=ca)) == "certificate"
    assert receiver.requests == []


def test_tls_below_1_2_is_refused(authority: Authority) -> None:
    policy = Policy(allow_loopback=True, ca_file=str(authority.ca_file))
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        with HttpReceiver(certificate=authority.issue("127.0.0.1"), newest_tls=version) as receiver:
            assert one(receiver.url, policy=policy) == "tls"
            assert receiver.requests == []


def test_a_tls_handshake_that_hangs_is_cut_off(authority: Authority) -> None:
    with HttpReceiver(certificate=authority.issue("127.0.0.1"), handshake=False) as receiver:
        assert one(receiver.url, timeout=1.0) == "timeout"


def test_plain_http_behind_an_https_url_is_a_tls_failure() -> None:
    with HttpReceiver() as receiver:
        assert one(receiver.url.replace("http:", "https:")) == "tls"


# The process's own loop


def test_submit_and_send_work_from_any_thread_and_keep_connections(
    settings: Settings,
) -> None:
    settings.OUTBOUND_ALLOW_LOOPBACK = True
    settings.OUTBOUND_PORTS = []
    settings.OUTBOUND_CA_FILE = ""
    outbound.close()
    with HttpReceiver() as receiver, ThreadPoolExecutor(4) as pool:
        request = Request(url=receiver.url)
        assert outbound.send(request).status == 200
        assert {r.status for r in pool.map(outbound.send, [request] * 20)} == {200}
        futures = [outbound.submit(request) for _ in range(20)]
        assert {future.result().status for future in futures} == {200}
        outbound.close()
    assert len(receiver.requests) == 41
    assert receiver.connection_count <= 20


def test_a_forked_process_has_connections_of_its_own(settings: Settings) -> None:
    """Celery forks its workers, perhaps after the parent has already sent something."""
    settings.OUTBOUND_ALLOW_LOOPBACK = True
    settings.OUTBOUND_CA_FILE = ""
    outbound.close()
    with HttpReceiver() as receiver:
        request = Request(url=receiver.url)
        assert outbound.send(request).status == 200
        child = _fork_and_send(request)
        assert os.waitpid(child, 0)[1] == 0
        assert outbound.send(request).status == 200
        outbound.close()

    assert len(receiver.requests) == 3
    assert [received.connection for received in receiver.requests] == [1, 2, 1]


def _fork_and_send(request: Request) -> int:
    with warnings.catch_warnings():
        # From Python 3.12 on, a fork beside threads is warned of; that is what is tried here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        status = 0
        try:
            status = outbound.submit(request).result(timeout=5).status
        finally:
            os._exit(0 if status == 200 else 1)
    return child
