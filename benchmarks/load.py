"""Sends one prepared request again and again over kept TLS connections, and counts the answers.

It writes and reads raw sockets, so that it takes as little as it can from the machine it measures.
"""

import socket
import ssl
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    port: int
    ca_file: str


@dataclass(frozen=True)
class Rate:
    requests: int
    seconds: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def request_bytes(path: str, body: bytes, authorization: str) -> bytes:
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def run(target: Target, request: bytes, *, seconds: float, connections: int) -> Rate:
    """How many requests were answered with 202. Any other answer ends the run: it is void."""
    counts, problems = [0] * connections, []
    started = time.perf_counter()
    ends_at = started + seconds

    def work(at: int) -> None:
        try:
            with _connected(target) as line:
                while time.perf_counter() < ends_at:
                    line.sendall(request)
                    status = _status(line)
                    if status != 202:
                        raise RuntimeError(f"answered {status}")
                    counts[at] += 1
        except Exception as problem:  # noqa: BLE001 - told by whoever started the threads
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(at,)) for at in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]
    return Rate(sum(counts), time.perf_counter() - started)


def _connected(target: Target) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=target.ca_file)
    plain = socket.create_connection(("127.0.0.1", target.port))
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(plain, server_hostname="localhost")


def _status(line: ssl.SSLSocket) -> int:
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(line)
    head, _, body = data.partition(b"\r\n\r\n")
    lowered = head.lower()
    length = int(lowered.partition(b"content-length:")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += _more(line)
    return int(head.split(b" ")[1])


def _more(line: ssl.SSLSocket) -> bytes:
    data = line.recv(65_536)
    if not data:
        raise ConnectionError("the server closed the connection")
    return data
