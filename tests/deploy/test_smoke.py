"""The eyes of the smoke run: each must be able to see the fault that it looks for."""

import os
import socket
import ssl
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local import certificates
from deploy.smoke import probes
from deploy.smoke.listeners import Listener, listeners_of


def test_a_server_with_tls_1_1_is_found_out(tmp_path: Path) -> None:
    with serving(tls_server(tmp_path, oldest=ssl.TLSVersion.TLSv1_1)) as port:
        assert probes.accepts_tls(port, version=ssl.TLSVersion.TLSv1_1)


def test_a_server_with_tls_1_2_alone_passes(tmp_path: Path) -> None:
    with serving(tls_server(tmp_path, oldest=ssl.TLSVersion.TLSv1_2)) as port:
        assert not probes.accepts_tls(port, version=ssl.TLSVersion.TLSv1_1)
        assert probes.accepts_tls(port, version=ssl.TLSVersion.TLSv1_2)


def test_plain_http_is_found_out() -> None:
    with serving(answer_http) as port:
        assert probes.answers_plain_http(port)


def test_a_greeting_is_not_mistaken_for_http() -> None:
    with serving(lambda client: client.sendall(b"220 localhost ESMTP\r\n")) as port:
        assert not probes.answers_plain_http(port)


def test_listeners_are_seen_with_their_addresses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as here, socket.create_server(("", 0)) as all_over:
        found = {one.port: one.is_loopback for one in listeners_of([os.getpid()])}
        assert found[here.getsockname()[1]] is True
        assert found[all_over.getsockname()[1]] is False


def test_the_loopback_addresses_are_known() -> None:
    assert Listener("tcp", "0100007F", 1).is_loopback
    assert Listener("tcp", "00000000000000000000000001000000", 1).is_loopback
    assert not Listener("tcp", "00000000", 1).is_loopback
    assert not Listener("tcp", "00000000000000000000000000000000", 1).is_loopback


def answer_http(client: socket.socket) -> None:
    client.recv(4096)
    client.sendall(b"HTTP/1.1 301 Moved\r\n\r\n")


def tls_server(folder: Path, *, oldest: ssl.TLSVersion) -> Callable[[socket.socket], None]:
    files = certificates.ensure(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = oldest
    return lambda client: context.wrap_socket(client, server_side=True).close()


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server, answer))
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)


def serve(server: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        with client:
            try:
                answer(client)
            except OSError:
                continue
